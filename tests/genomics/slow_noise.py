"""The slow twin: what noise and restoration are defined to be, one bit after the other, from AES alone."""

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from noisegate.genomics import restore
from noisegate.genomics.laws import Chain, Family, Independent, Law, Response

NOISE, TAIL, FAMILY, CHOICE, THIN, PICK = 0, 12, 13, 14, 16, 24


class Stream:
    """Words by chunk, domain and number."""

    def __init__(self, key: bytes) -> None:
        self._encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305  the blocks are counters

    def word(self, chunk: int, domain: int, number: int) -> int:
        block = bytes([domain]) + chunk.to_bytes(7, "big") + (number // 2).to_bytes(8, "big")
        drawn = self._encryptor.update(block)
        return int.from_bytes(drawn[8:] if number % 2 else drawn[:8], "little")


def wide(people: int) -> int:
    """W of perturb.py."""
    return -(-people // 512) * 8


def number_of(stream: Stream, chunk: int, column: int, person: int, people: int, domain: int = NOISE) -> int:
    """The 64-bit number that a person's threshold in a column is compared with, all of it."""
    word, bit = divmod(person, 64)
    place = column * wide(people) + word
    high = 0
    for t in range(12):
        high = 2 * high + (stream.word(chunk, domain + t, place) >> bit & 1)
    return high << 52 | stream.word(chunk, domain + 12, place * 64 + bit) >> 12


def perturbed(calls: np.ndarray, law: Law, key: bytes, chunk: int) -> np.ndarray:
    """Return the bits (hi, lo, hi, lo, …) of noisy calls, shape (2 * variants, people), before decoding."""
    stream = Stream(key)
    variants, people = calls.shape
    bits = np.zeros((2 * variants, people), np.uint8)
    bits[0::2], bits[1::2] = calls == 2, calls >= 1
    match law:
        case Response(change=change):
            for v in range(variants):
                for i in range(people):
                    if number_of(stream, chunk, v, i, people) < int(change[v]):
                        others = sorted({0, 1, 2} - {int(calls[v, i])})
                        choice = stream.word(chunk, CHOICE, v * wide(people) + i // 64) >> i % 64 & 1
                        bits[2 * v, i], bits[2 * v + 1, i] = others[choice] == 2, others[choice] >= 1
        case Family(single=single, groups=groups):
            noise = _noise(single, stream, chunk, people)
            for f, group in enumerate(groups):
                state = 0
                for j in range(2 * variants):
                    found = 0
                    for k in range(law.size):
                        drawn = stream.word(chunk, FAMILY, (j * len(groups) + f) * law.size + k)
                        found |= (drawn < int(law.thresholds[j, state, 2**k - 1 + found])) << k
                    for k, person in enumerate(group):
                        noise[j, person] = found >> k & 1
                    state = found
            bits ^= noise
        case _:
            bits ^= _noise(law, stream, chunk, people)
    return bits


def _noise(law: Independent | Chain, stream: Stream, chunk: int, people: int) -> np.ndarray:
    first, after = (law.flip, law.flip) if isinstance(law, Independent) else (law.first, law.after)
    noise = np.zeros((len(first), people), np.uint8)
    for j in range(len(first)):
        for i in range(people):
            threshold = after[j] if j and noise[j - 1, i] else first[j]
            noise[j, i] = number_of(stream, chunk, j, i, people) < int(threshold)
    return noise


def restored(bits: np.ndarray, counts: np.ndarray, key: bytes, chunk: int) -> np.ndarray:
    """Return the calls that are left when alleles are moved; `bits` as from `perturbed`."""
    stream = Stream(key)
    people = bits.shape[1]
    words = -(-people // 64)
    picked = 0
    calls = np.empty((len(counts), people), np.int8)
    for v in range(len(counts)):
        both = bits[2 * v : 2 * v + 2].copy()
        found = int(both.sum())
        lowered = counts[v] < found
        candidates = {(p, i) for p in range(2) for i in range(people) if both[p, i] == lowered}
        moved = abs(int(counts[v]) - found)
        rest = 2 * moved > len(candidates)
        size = len(candidates) - moved if rest else moved
        threshold = int(restore._thresholds(np.array([size]), np.array([len(candidates)]))[0]) >> 56
        chosen = set()
        for p, i in candidates:
            high = 0
            for t in range(8):
                word = stream.word(chunk, THIN + t, (2 * v + p) * wide(people) + i // 64)
                high = 2 * high + (word >> i % 64 & 1)
            if high < threshold:
                chosen.add((p, i))
        free = candidates - chosen if len(chosen) < size else set(chosen)
        full = list(range(2 * words))
        if len(chosen) != size and len(free) < restore._SPARSE * 2 * words:
            full = sorted({p * words + i // 64 for p, i in free})
        while len(chosen) != size:
            word = stream.word(chunk, PICK, picked // 2)
            draw = word >> 32 if picked % 2 else word % 2**32
            picked += 1
            if draw * 64 * len(full) % 2**32 < 2**32 % (64 * len(full)):
                continue
            place = draw * 64 * len(full) >> 32
            p, word = divmod(full[place // 64], words)
            person = 64 * word + place % 64
            if (p, person) in free:
                free.remove((p, person))
                chosen ^= {(p, person)}
        for p, i in candidates - chosen if rest else chosen:
            both[p, i] ^= 1
        calls[v] = both.sum(0)
    return calls
