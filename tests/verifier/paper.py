"""A desk at which any history of receipts can be written down, true or forged, with hashes and signatures.

Written from docs/reference/receipts.md, apart from both the ledger and the verifier.
"""

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from noisegate.privacy.curves import pure
from noisegate.privacy.filter import Limits, capacity
from noisegate.privacy.loss import Loss

ROOMY = Limits.of(Fraction(100), Fraction(1, 10**6))
CENT = pure(Fraction(1, 100))
ANA = "olmsted/liver/default/ana"
Body = Mapping[str, object]


def canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def loss_json(loss: Loss) -> dict[str, object]:
    return {"renyi": list(loss.renyi), "delta": loss.delta}


def signed(key: Ed25519PrivateKey, tag: str, value: Body) -> dict[str, object]:
    said = {**value, "key": key.public_key().public_bytes_raw().hex()}
    return {**said, "signature": key.sign(f"{tag}\0".encode() + canonical(said).encode()).hex()}


def path_to(*leaves: str) -> list[str]:
    return sorted({"/".join(leaf.split("/")[: i + 1]) for leaf in leaves for i in range(leaf.count("/") + 1)})


def chain_of(account: str) -> str:
    return account.split("/")[1] if "/" in account else f"population/{account}"


def order(chains: Sequence[str]) -> list[str]:
    return sorted(c for c in chains if "/" in c) + sorted(c for c in chains if "/" not in c)


@dataclass
class Written:
    kind: str
    charge: int | None
    at: int
    body: str


@dataclass
class Paper:
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    ledger: str = "ab" * 16
    now: int = 1_700_000_000
    chains: dict[str, list[Written]] = field(default_factory=dict)
    periods: dict[str, list[Limits]] = field(default_factory=dict)
    charges: dict[int, dict[str, object]] = field(default_factory=dict)

    @property
    def public(self) -> str:
        return self.key.public_key().public_bytes_raw().hex()

    def add(self, chain: str, kind: str, body: Body | str, charge: int | None = None) -> None:
        text = body if isinstance(body, str) else canonical(body)
        self.chains.setdefault(chain, []).append(Written(kind, charge, self.now, text))

    def share(self, kind: str, account: str, limits: Limits, **changes: object) -> None:
        """Write that an account got a share of budget; `changes` go into the body before it is signed."""
        shares = self.periods.setdefault(account, [])
        shares.append(limits)
        fixed = capacity(limits)
        body: dict[str, object] = {
            "account": account,
            "by": "cus",
            "period": {"number": len(shares), "since": self.now, "until": None},
            "epsilon": str(limits.epsilon),
            "delta": str(limits.delta),
            "delta_keys": str(limits.delta_keys),
            "capacity": {"renyi": list(fixed.renyi), "delta_keys": fixed.delta_keys},
            "lifetime": {
                "epsilon": str(sum(s.epsilon for s in shares)),
                "delta": str(sum(s.delta for s in shares)),
            },
        }
        self.add(chain_of(account), kind, signed(self.key, "noisegate entry 1", body | changes))

    def open_path(self, leaf: str, limits: Limits = ROOMY) -> None:
        for account in path_to(leaf):
            if account not in self.periods:
                self.share("opened", account, limits)

    def charge(self, *leaves: str, loss: Loss = CENT, fingerprint: str = "", **changes: object) -> int:
        """Write a charge on each of its chains and return its number."""
        number = len(self.charges) + 1
        accounts = path_to(*(leaves or (ANA,)))
        datasets = sorted({chain_of(a) for a in accounts if a.count("/") == 1})
        body: dict[str, object] = {
            "accounts": accounts,
            "datasets": datasets,
            "loss": loss_json(loss),
            "surcharges": {},
            "periods": {a: len(self.periods.get(a, [0])) for a in accounts},
            "fingerprint": fingerprint or f"plan {number}",
            "idempotency": None,
            "asker": "ana",
            "tier": "clinical",
            "daily": None,
            "steps": None,
            "conditions": "[]",
            "public": {"question": "SELECT count(*) FROM liver.patients", "epsilon": 0.01, "asker": "ana"},
        }
        self.charges[number] = body | changes
        for dataset in datasets:
            self.add(dataset, "charge", self.charges[number], number)
        return number

    def outcome(self, kind: str, charge: int, body: Body) -> None:
        for dataset in self.datasets(charge):
            self.add(dataset, kind, body, charge)

    def datasets(self, charge: int) -> list[str]:
        return [str(d) for d in self.charges[charge]["datasets"]]  # type: ignore[attr-defined]

    def answer(self, charge: int, of: int | None = None, text: str = "") -> None:
        sha256 = hashlib.sha256((text or f"answer to {of or charge}").encode()).hexdigest()
        self.outcome("answer", charge, {"answer_of": of or charge, "sha256": sha256})

    def lines(self, chain: str) -> tuple[list[str], list[object]]:
        """Return a chain's lines and its head."""
        previous, found = "0" * 64, []
        for number, r in enumerate(self.chains[chain], 1):
            of = "" if r.charge is None else str(r.charge)
            texts = ("noisegate receipt 1", previous, chain, str(number), r.kind, of, str(r.at), r.body)
            packed = b"".join(struct.pack(">Q", len(t.encode())) + t.encode() for t in texts)
            hash_ = hashlib.sha256(packed).hexdigest()
            line = {"at": r.at, "body": r.body, "chain": chain, "charge": r.charge, "hash": hash_}
            found.append(canonical(line | {"kind": r.kind, "number": number, "previous": previous}))
            previous = hash_
        return found, [len(found), previous]

    def export(self, chains: Sequence[str] | None = None) -> bytes:
        """Return the file of these chains, all of them by default."""
        named = order(list(self.chains) if chains is None else chains)
        header = {
            "format": "noisegate receipts 1",
            "ledger": self.ledger,
            "chains": named,
            "all": chains is None,
        }
        lines, heads = [canonical(header)], {}
        for chain in named:
            of_chain, heads[chain] = self.lines(chain)
            lines += of_chain
        return self.end(lines, heads)

    def end(self, lines: Sequence[str], heads: Mapping[str, object]) -> bytes:
        """Return lines with a signed last one."""
        before = "".join(f"{line}\n" for line in lines).encode()
        end = {"format": "noisegate receipts end 1", "ledger": self.ledger, "at": self.now, "heads": heads}
        end["sha256"] = hashlib.sha256(before).hexdigest()
        return before + canonical(signed(self.key, "noisegate receipts end 1", end)).encode() + b"\n"

    def checkpoint(self, **changes: object) -> bytes:
        """Return a checkpoint of all chains as they stand."""
        heads = {chain: self.lines(chain)[1] for chain in self.chains}
        value = {"format": "noisegate checkpoint 1", "ledger": self.ledger, "at": self.now, "heads": heads}
        return canonical(signed(self.key, "noisegate checkpoint 1", value | changes)).encode() + b"\n"
