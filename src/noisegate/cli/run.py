"""From arguments to an exit code: what a command raised becomes one style of error.

0 ok, 1 internal, 2 usage or bad input, 3 refused, 4 budget, 5 authentication or permission, 6 unavailable.
"""

import json
import sys
import traceback
from collections.abc import Sequence

from typer.exceptions import Abort, TyperException
from typer.main import get_command

from noisegate.cli.commands import program
from noisegate.cli.show import progress
from noisegate.errors import BadInput, InternalError, NoisegateError

INTERRUPTED = 130
# What DuckDB raises in place of KeyboardInterrupt while a statement of its own is running.
STOPPED_BY_DUCKDB = "Query interrupted"


def run(argv: Sequence[str]) -> int:
    """Run a command line and return its exit code."""
    as_json = "--json" in argv
    try:
        code = get_command(program).main(list(argv), prog_name="noisegate", standalone_mode=False)
    except NoisegateError as error:
        return report(error, as_json=as_json)
    except TyperException as wrong:
        hint = "see `noisegate --help`, or `noisegate COMMAND --help`"
        return report(BadInput(wrong.format_message(), hint), as_json=as_json)
    except (KeyboardInterrupt, Abort):
        return INTERRUPTED
    except BrokenPipeError:
        # Who read the output has enough of it; closing stdout again at exit would complain.
        sys.stdout = None
        return 0
    except Exception as error:  # noqa: BLE001 - its text may quote rows, so only its place is told
        if isinstance(error, RuntimeError) and str(error) == STOPPED_BY_DUCKDB:
            return INTERRUPTED
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{type(error).__name__} at {last.filename}:{last.lineno}"
        return report(InternalError(f"something went wrong inside noisegate: {place}"), as_json=as_json)
    return code if isinstance(code, int) else 0


def report(error: NoisegateError, *, as_json: bool) -> int:
    """Write an error to stderr and return its exit code."""
    if as_json:
        print(json.dumps(error.as_json(), ensure_ascii=False), file=sys.stderr)
    else:
        told = progress()
        told.print(f"error: {error.message}", markup=False)
        problems = error.detail.get("problems")
        for problem in problems if isinstance(problems, list) else ():
            told.print(f"  {problem['where']}: {problem['message']}", markup=False)
        if error.hint:
            told.print(f"hint: {error.hint}", markup=False)
    return error.exit_code
