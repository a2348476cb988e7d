"""A seal: something exact that may be carried about and shows nothing of itself.

TRUSTED, against mistakes rather than malice: code in this process could reach into any object. What the
seal stops is the accident: an exact number or a name in a log line, an error, a cache, a pickle or a
comparison. PROOFS.md, "Sealed cells".
"""

from collections.abc import Callable
from typing import ClassVar, Generic, Never, TypeVar

Contents = TypeVar("Contents")


class Sealed(Generic[Contents]):
    """Contents in a closure, so that no tool which walks attributes or slots finds them.

    A kind of sealed thing is a direct subclass, which says what it is shown as and who opens it.
    """

    __slots__ = ("__opened",)
    __opened: Callable[[], Contents]
    shown: ClassVar[str]
    refusal: ClassVar[str]

    def __init__(self, contents: Contents) -> None:
        object.__setattr__(self, "_Sealed__opened", lambda: contents)

    def __init_subclass__(cls) -> None:
        if Sealed not in cls.__bases__:
            raise TypeError("what is sealed has no subclass")

    def __repr__(self) -> str:
        return self.shown

    def __format__(self, spec: str) -> str:
        return self.shown

    def __setattr__(self, name: str, value: object) -> Never:
        self.__refuse()

    def __delattr__(self, name: str) -> Never:
        self.__refuse()

    def __eq__(self, other: object) -> bool:
        self.__refuse()

    def __ne__(self, other: object) -> bool:
        self.__refuse()

    def __hash__(self) -> int:
        self.__refuse()

    def __bool__(self) -> bool:
        self.__refuse()

    def __len__(self) -> int:
        self.__refuse()

    def __iter__(self) -> Never:
        self.__refuse()

    def __contains__(self, item: object) -> bool:
        self.__refuse()

    def __getitem__(self, item: object) -> Never:
        self.__refuse()

    def __array__(self, *args: object, **kwargs: object) -> Never:
        self.__refuse()

    def __copy__(self) -> Never:
        self.__refuse()

    def __deepcopy__(self, memo: object) -> Never:
        self.__refuse()

    def __reduce_ex__(self, protocol: object) -> Never:
        self.__refuse()

    def __getstate__(self) -> Never:
        self.__refuse()

    def __refuse(self) -> Never:
        raise TypeError(self.refusal)


def _contents(sealed: Sealed[Contents]) -> Contents:
    """Return what is inside. For the files that define a sealed kind alone; a test keeps it so."""
    opened: Callable[[], Contents] = object.__getattribute__(sealed, "_Sealed__opened")
    return opened()
