"""A small memory of rows read, for what is asked on every request."""

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memory(Generic[K, V]):
    """Remembers at most `most` values, the last used ones.

    A value that was read before `forget` is not remembered after it: the reader hands in the `age` it
    saw before it read.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[K, V] = OrderedDict()
        self._age = 0
        self._lock = threading.Lock()

    @property
    def age(self) -> int:
        """How often everything was forgotten."""
        return self._age

    def get(self, key: K) -> V | None:
        """Return what is remembered under a key."""
        with self._lock:
            found = self._values.get(key)
            if found is not None:
                self._values.move_to_end(key)
            return found

    def put(self, key: K, value: V, age: int) -> None:
        """Remember a value that was read at that age, unless all was forgotten since."""
        with self._lock:
            if age != self._age:
                return
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)

    def forget(self) -> None:
        """Forget everything, including what is being read now."""
        with self._lock:
            self._values.clear()
            self._age += 1
