"""What all peers share: a child process that reads a JSON request a line and writes a JSON reply a line.

Requests: {"do": "load", "path", "rows", "groups", "epsilon", "delta"}, {"do": "ask", "question"}, and the end
of the input. Everything else a peer prints goes to standard error.
"""

import json
import os
import sys
import time
from importlib.metadata import version


class CannotAnswerError(Exception):
    """The peer has no way to ask this question."""


def serve(peer, *packages):
    """Answer requests until the input ends. `peer` has load(request), ask(question) -> answers, spent."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        started = time.perf_counter()
        try:
            if request["do"] == "load":
                peer.load(request)
                reply = {"versions": {p: version(p) for p in packages}}
            else:
                answers, spent = peer.ask(request["question"])
                reply = {"answers": answers, "spent": spent}
        except CannotAnswerError as reason:
            reply = {"cannot": str(reason)}
        except Exception as failure:  # noqa: BLE001 - a peer's failure is a finding, and the next question may work
            reply = {"cannot": f"{type(failure).__name__}: {failure}"[:300]}
        reply["seconds"] = time.perf_counter() - started
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
