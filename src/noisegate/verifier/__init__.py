"""A verifier of exported receipts, on its own: `python -m noisegate.verifier FILE`.

It shares no code with what writes receipts: it imports the standard library, `cryptography` and itself,
and this directory alone can be copied to another machine. What it reads is described in
docs/reference/receipts.md; what a file without a fault proves is in PROOFS.md, "Checkpoints".
"""

from .file import verify
from .given import checkpoints_in, key_of
from .report import Report

__all__ = ["Report", "checkpoints_in", "key_of", "verify"]
