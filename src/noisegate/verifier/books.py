"""What receipts tell, added up anew: what accounts spent, and what became of each charge."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from .accounts import KINDS as ACCOUNT_KINDS
from .accounts import Account, Accounts, Share, chain_of, parent_of
from .forms import INFINITE, Fault, Keys, is_hex, vector, whole, word

OUTCOMES = frozenset({"answer", "failed", "lost"})
KINDS = ACCOUNT_KINDS | OUTCOMES | {"registered", "charge", "finished", "unsuspended"}
_OUTCOME_OF = {"finished": "answer", "failed": "failed", "cancelled": "lost"}  # by the state of a job
_ANALYST = 3  # slashes in the id of an analyst's account


@dataclass(slots=True)
class Path:
    """Which accounts of a charge the present chain tells of, and the population's, if its chain is there."""

    accounts: frozenset[str]
    datasets: list[str]
    own: list[Account]
    root: Account | None


@dataclass(slots=True)
class Charged:
    """A charge on several chains: the SHA-256 of its body, and what each of them tells of it later."""

    digest: bytes
    datasets: list[str]
    told: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


class Books:
    """Takes in receipts chain by chain, each after its hash was checked; raises Fault at what cannot be."""

    def __init__(self, keys: Keys) -> None:
        """Take what checks the signatures of entries."""
        self.accounts = Accounts(keys)
        self.kinds: Counter[str] = Counter()
        self.chains: frozenset[str] = frozenset()
        self._seen: set[int] = set()
        self._several: dict[int, Charged] = {}
        self._open: set[int] = set()
        self.begin("")

    def begin(self, chain: str) -> None:
        """Go on to the next chain."""
        self._chain = chain
        self._version = 0
        self._running: dict[int, str] = {}  # charge -> fingerprint
        self._jobs: dict[int, dict[str, Any]] = {}
        self._ended: dict[int, str] = {}  # job -> what became of its charge
        self._answers: dict[str, tuple[int, str]] = {}
        self._failed: set[str] = set()
        self._paths: dict[tuple[str, ...], Path] = {}

    @property
    def charges(self) -> int:
        """How many charges there are; one on several chains is one."""
        return len(self._seen)

    @property
    def open_charges(self) -> int:
        """How many charges nothing has settled."""
        return len(self._open)

    def enter(self, kind: str, charge: int | None, at: int, body: str, content: dict[str, Any]) -> None:
        """Take in the next receipt of the present chain, of one of KINDS."""
        self.kinds[kind] += 1
        if kind in ACCOUNT_KINDS or kind == "registered":
            if charge is not None:
                raise Fault(f"a receipt of kind {kind!r} names a charge")
            if kind == "registered":
                self._register(content)
            else:
                self.accounts.enter(kind, content, at, self._chain)
            return
        of = whole(charge, 1)
        if kind == "charge":
            self._charge(of, at, body, content)
            return
        if of in self._several:
            self._several[of].told.setdefault(self._chain, []).append((kind, body))
        if kind in OUTCOMES:
            self._settle(of, kind, content)
        elif kind == "finished":
            self._finish_job(of, content)
        elif word(content["fingerprint"]) in self._failed and of in self._seen:
            self._failed.remove(content["fingerprint"])
        else:
            raise Fault(f"a plan of charge {of} is opened again and was not closed")

    def close(self) -> None:
        """Check what only all chains together tell."""
        for charge, several in self._several.items():
            stories = [several.told.get(name) for name in several.datasets if name in self.chains]
            if any(story is None or story != stories[0] for story in stories):
                raise Fault(f"the chains of charge {charge} do not tell the same of it")
        self.accounts.close()
        for share in self.accounts.shares():
            if not share.holds():
                raise Fault(f"account {share.account!r} spent more than its limits in period {share.number}")

    def _register(self, content: dict[str, Any]) -> None:
        self._version += 1
        if whole(content["version"], 1) != self._version:
            raise Fault(f"data version {content['version']} follows version {self._version - 1}")

    def _charge(self, charge: int, at: int, body: str, content: dict[str, Any]) -> None:
        """Take a charge's loss from its accounts."""
        path = self._path(content["accounts"], content["datasets"])
        first, digest = charge not in self._seen, hashlib.sha256(body.encode()).digest()
        if first and len(path.datasets) > 1:
            self._several[charge] = Charged(digest, path.datasets)
        several = self._several.get(charge)
        if not first and (several is None or several.digest != digest or self._chain in several.told):
            raise Fault(f"charge {charge} is told of twice")
        if several is not None:
            several.told[self._chain] = []
        self._seen.add(charge)
        self._open.add(charge)
        fingerprint = word(content["fingerprint"])
        if fingerprint in self._failed:
            raise Fault(f"charge {charge} is for a plan that was closed")
        self._running[charge] = fingerprint
        if content.get("steps") is not None:
            self._jobs[charge] = content
        self._take(charge, at, content, path, first)

    def _take(self, charge: int, at: int, content: dict[str, Any], path: Path, first: bool) -> None:
        loss, delta = vector(content["loss"]["renyi"]), whole(content["loss"]["delta"])
        surcharges, periods = content["surcharges"], content.get("periods")
        if periods is None:
            periods = dict.fromkeys(content["accounts"], 1)
        elif periods.keys() != path.accounts:
            raise Fault(f"charge {charge} does not name the period of each account")
        for account in path.own:
            share = account.shares[-1]
            if periods[account.id] != share.number or account.is_closed or at >= share.until:
                raise Fault(
                    f"charge {charge} names account {account.id!r}, which bore no charge in that period"
                )
            share.add(loss, delta)
            if account.id in surcharges:
                more = surcharges[account.id]
                share.add_surcharge(vector(more["renyi"]), whole(more["delta"]))
            if not share.holds():
                raise Fault(f"charge {charge} takes account {account.id!r} past its limits")
        if not surcharges.keys() <= periods.keys() or any(a.count("/") != _ANALYST for a in surcharges):
            raise Fault(f"charge {charge} puts a surcharge on another account than an analyst's")
        if path.root is not None and first:
            # Other chains' charges lie between these in time, so what it holds is checked at the end.
            self._of_root(charge, at, path.root, periods).add(loss, delta)

    def _of_root(self, charge: int, at: int, root: Account, periods: dict[str, int]) -> Share:
        """Return the period of a population that a charge was made in; seconds in common are left open."""
        number = whole(periods[root.id], 1)
        if number <= len(root.shares):
            share = root.shares[number - 1]
            began = number == 1 or share.since <= at
            closed = any(since < at < until for since, until in root.closed)
            if began and at <= share.ended and at < share.until and not closed:
                return share
        raise Fault(f"charge {charge} names account {root.id!r}, which bore no charge then")

    def _path(self, accounts: list[str], datasets: list[str]) -> Path:
        """Return what there is of a charge's accounts; the same list is looked at once a chain."""
        path = self._paths.get(tuple(accounts))
        if path is None:
            path = self._paths[tuple(accounts)] = self._new_path(accounts, datasets)
        if path.datasets != datasets:
            raise Fault("a charge names other datasets than those whose accounts it charges")
        return path

    def _new_path(self, accounts: list[str], datasets: list[str]) -> Path:
        if sorted(set(accounts)) != accounts or not {parent_of(a) for a in accounts} <= {"", *accounts}:
            raise Fault("a charge names an account twice, or leaves out one above it")
        roots = [a for a in accounts if not parent_of(a)]
        charged = sorted(chain_of(a) for a in accounts if a.count("/") == 1)
        if len(roots) != 1 or charged != sorted(datasets) or self._chain not in charged:
            raise Fault("a charge names other datasets than those whose accounts it charges")
        own = [a for a in accounts if chain_of(a) == self._chain]
        missing = [a for a in own if a not in self.accounts.found]
        if missing:
            raise Fault(f"account {missing[0]!r} is charged and was not opened")
        root = self.accounts.found.get(roots[0])
        if root is None and f"population/{roots[0]}" in self.chains:
            raise Fault(f"account {roots[0]!r} is charged and was not opened")
        return Path(frozenset(accounts), datasets, [self.accounts.found[a] for a in own], root)

    def _settle(self, charge: int, kind: str, content: dict[str, Any]) -> None:
        """Take in what became of a charge."""
        fingerprint = self._running.pop(charge, None)
        if fingerprint is None:
            raise Fault(f"charge {charge} is settled twice, or was not made before")
        self._open.discard(charge)
        if charge in self._jobs:
            self._ended[charge] = kind
        if kind == "failed":
            self._failed.add(fingerprint)
        if kind == "answer":
            answer = (whole(content["answer_of"], 1), content["sha256"])
            if not is_hex(answer[1], 32) or self._answers.get(fingerprint, (charge, answer[1])) != answer:
                raise Fault(f"the answer to charge {charge} is not the one answer to its question")
            self._answers[fingerprint] = answer

    def _finish_job(self, charge: int, content: dict[str, Any]) -> None:
        """Give back what a job reserved and never drew, to the periods that it was taken in."""
        job = self._jobs.pop(charge, None)
        if job is None or not 0 <= whole(content["steps_drawn"]) <= whole(job["steps"], 1):
            raise Fault(f"charge {charge} is no job that runs, or drew more steps than it has")
        if self._ended.pop(charge, None) != _OUTCOME_OF.get(content["state"], ""):
            raise Fault(f"the job of charge {charge} ended otherwise than its charge")
        if content["state"] == "finished" and not content["steps_drawn"] and any(_entries(job["loss"])):
            raise Fault(f"the job of charge {charge} has an answer, and has drawn nothing for it")
        losses = (job["loss"], content["drawn"], content["returned"])
        for reserved, drawn, back in zip(*map(_entries, losses), strict=True):
            # Nothing comes back where the schedule has no bound: what is left of it is not known.
            if drawn > reserved or back != (0 if reserved == INFINITE else reserved - drawn):
                raise Fault(f"what the job of charge {charge} drew and gave back is not what it reserved")
        path = self._path(job["accounts"], job["datasets"])
        # What a charge on several datasets took from the population's account comes back once, as it was.
        first = self._chain == min(d for d in path.datasets if d in self.chains)
        for account in (*path.own, *([path.root] if path.root is not None and first else [])):
            share = account.shares[job["periods"][account.id] - 1]
            share.give_back(vector(content["returned"]["renyi"]), content["returned"]["delta"])


def _entries(loss: dict[str, Any]) -> list[int]:
    return [*vector(loss["renyi"]), whole(loss["delta"])]
