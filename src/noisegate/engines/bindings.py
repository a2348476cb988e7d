"""Values that are named once where a template needs them more than once. TRUSTED."""

from collections.abc import Callable

from noisegate.privacy.expressions import PlanError

# Texts up to this long are repeated instead: the engine computes them faster than it binds a name.
_REPEATABLE = 160
# The engine plans nested names in more than linear time.
MAX_BINDINGS = 40


class Bindings:
    """Gives out names that are new within one expression."""

    def __init__(self) -> None:
        self.given = 0

    def let(self, sql: str, body: Callable[[str], str]) -> str:
        """Return `body` of a value, which is written and computed once where its text is long.

        So text grows linearly with nesting, not by a power of how often templates repeat an argument.

        Raises:
            PlanError: more than MAX_BINDINGS names.
        """
        if len(sql) <= _REPEATABLE:
            return body(sql)
        self.given += 1
        if self.given > MAX_BINDINGS:
            raise PlanError("an expression is too long to compute in one piece; split it over sub-queries")
        name = f"v{self.given}"
        return f"list_transform([{sql}], lambda {name}: {body(name)})[1]"

    def both(self, first: str, second: str, body: Callable[[str, str], str]) -> str:
        """Return `body` of two values, each as in `let`."""
        return self.let(first, lambda a: self.let(second, lambda b: body(a, b)))
