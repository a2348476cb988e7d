"""What charges took together and jobs gave back, as the check of a ledger adds it up. See `told.py`."""

from dataclasses import dataclass
from operator import add

from noisegate.privacy.loss import INFINITE, ORDERS, Loss

_NOTHING = (0,) * (len(ORDERS) + 1)


@dataclass(slots=True)
class Sums:
    """What charges took together, entry by entry, without a bound, and what jobs gave back of it.

    `held` is what a row says that was changed in the same order: no bound for good once a sum had none.
    """

    taken: tuple[int, ...] = _NOTHING
    back: tuple[int, ...] = _NOTHING
    held: tuple[int, ...] = _NOTHING
    surcharge: tuple[int, ...] = _NOTHING
    charges: int = 0
    returns: int = 0
    amount: int = 0
    first: int = INFINITE  # seconds since 1970 UTC
    last: int = 0

    def take(self, loss: tuple[int, ...], surcharge: tuple[int, ...] | None, amount: int, at: int) -> None:
        """Count one charge."""
        self.taken = tuple(map(add, self.taken, loss))
        self.held = tuple(min(h + more, INFINITE) for h, more in zip(self.held, loss, strict=True))
        if surcharge is not None:
            self.surcharge = tuple(map(add, self.surcharge, surcharge))
        self.charges += 1
        self.amount += amount
        self.first = min(self.first, at)
        self.last = max(self.last, at)

    def give_back(self, returned: tuple[int, ...], amount: int) -> None:
        """Count what one job gave back."""
        self.back = tuple(map(add, self.back, returned))
        pairs = zip(self.held, returned, strict=True)
        self.held = tuple(INFINITE if h == INFINITE else h - less for h, less in pairs)
        self.returns += 1
        self.amount -= amount

    def lost(self) -> Loss:
        """Return the loss of it, whatever the order it was heard in."""
        return _saturated(tuple(t - b for t, b in zip(self.taken, self.back, strict=True)))

    def extra(self) -> Loss:
        """Return the surcharge on it."""
        return _saturated(self.surcharge)

    def counted(self, *, in_order: bool) -> Loss:
        """Return what is held against the capacity.

        `in_order` where it was heard in the order it happened: of any account but a population's.
        """
        return (_saturated(self.held) if in_order else self.lost()) + self.extra()


def _saturated(entries: tuple[int, ...]) -> Loss:
    parts = tuple(min(entry, INFINITE) for entry in entries)
    return Loss(parts[:-1], parts[-1])
