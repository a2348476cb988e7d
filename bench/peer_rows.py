"""Target 2: the four questions, project and peers in turn, each at a total ε of 1 truly spent."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench import questions
from bench.children import PEERS, Peer, PeerMissingError
from bench.questions import DELTA, EPSILON, GROUPS, QUESTIONS, ROWS, Answers, Question
from bench.rows import Row, missing, spread

# What a mean of repeats may lie above another's by chance: this many standard errors of their difference. Not
# two, as it is held against the luckiest of three peers.
STANDARD_ERRORS = 3.0
MORE_ANSWERS = 30  # of ours, for the error alone: they are quick, and its mean is then better known
Ask = Callable[[str], tuple[float, Answers]]


def compare(ours: Ask, path: Path, repeats: int) -> tuple[list[Row], dict[str, str]]:
    """Return a row of speed and a row of error for each question, and the peers' versions.

    Args:
        ours: answers a question by name; returns seconds and answers.
        path: the table all of them read.
        repeats: measured rounds; in each, project and peers answer in turn. One round before is not measured.
    """
    versions: dict[str, str] = {}
    with ExitStack() as stack:
        peers = []
        for name in PEERS:
            try:
                peer = stack.enter_context(Peer(name))
            except PeerMissingError:
                continue
            peer.load(path, rows=ROWS, groups=GROUPS, epsilon=EPSILON, delta=DELTA)
            versions |= {f"{package} (in {name})": v for package, v in peer.versions.items()}
            peers.append(peer)
        truth, plain = questions.bounded(path), questions.plain(path)
        rows = []
        for question in QUESTIONS:
            seconds, answers, cannot = _measure(question, ours, peers, repeats)
            rows += _rows(question, seconds, answers, cannot, truth[question.name], plain[question.name])
    return rows, versions


def _measure(
    question: Question, ours: Ask, peers: Sequence[Peer], repeats: int
) -> tuple[dict[str, list[float]], dict[str, list[Answers]], dict[str, str]]:
    seconds: dict[str, list[float]] = {"ours": []}
    answers: dict[str, list[Answers]] = {"ours": []}
    cannot: dict[str, str] = {}
    for turn in range(repeats + 1):
        took, found = ours(question.name)
        if turn:
            seconds["ours"].append(1_000 * took)
        answers["ours"].append(found)
        for peer in peers:
            if peer.name in cannot:
                continue
            reply = peer.ask(question.name)
            if "cannot" in reply:
                cannot[peer.name] = reply["cannot"]
                continue
            if abs(reply["spent"][0] - EPSILON) > 1e-6:
                raise RuntimeError(f"{peer.name} spent ε {reply['spent'][0]} on {question.name}")
            if turn:
                seconds.setdefault(peer.name, []).append(1_000 * reply["seconds"])
            answers.setdefault(peer.name, []).append(reply["answers"])
    answers["ours"] += [ours(question.name)[1] for _ in range(MORE_ANSWERS)]
    return seconds, answers, cannot


def _rows(
    question: Question,
    seconds: Mapping[str, list[float]],
    answers: Mapping[str, list[Answers]],
    cannot: Mapping[str, str],
    truth: Answers,
    plain: Answers,
) -> list[Row]:
    speed, accuracy = f"{question.title}: time", f"{question.title}: error"
    others = [name for name in seconds if name != "ours"]
    if not others:
        why = "no peer is installed" if not cannot else "no peer can answer it"
        return [
            missing(speed, "ms", f"≥ {question.faster:g} × faster", why),
            missing(accuracy, "relative", "no larger", why),
        ]
    medians = {name: statistics.median(took) for name, took in seconds.items()}
    fastest = min(others, key=medians.__getitem__)
    ratio = medians[fastest] / medians["ours"]
    errors = {name: [questions.error(a, truth) for a in found] for name, found in answers.items()}
    means = {name: statistics.fmean(found) for name, found in errors.items()}
    best = min(others, key=means.__getitem__)
    slack = STANDARD_ERRORS * (_variance_of_mean(errors["ours"]) + _variance_of_mean(errors[best])) ** 0.5
    detail = {
        "medians_ms": medians,
        "mean_errors": means,
        "mean_errors_against_unbounded": {
            name: statistics.fmean([questions.error(a, plain) for a in found])
            for name, found in answers.items()
        },
        "cannot": dict(cannot),
    }
    return [
        Row(
            speed,
            medians["ours"],
            medians[fastest],
            "ms",
            ratio,
            f"≥ {question.faster:g} × faster",
            ratio >= question.faster,
            f"fastest: {fastest}",
            detail | spread(seconds["ours"], seconds[fastest]),
        ),
        Row(
            accuracy,
            means["ours"],
            means[best],
            "relative",
            means["ours"] / means[best] if means[best] else None,
            "no larger",
            means["ours"] <= means[best] + slack,
            f"least: {best}",
            {"standard_errors": STANDARD_ERRORS, "slack": slack, **spread(errors["ours"], errors[best])},
        ),
    ]


def _variance_of_mean(values: Sequence[float]) -> float:
    return statistics.variance(values) / len(values) if len(values) > 1 else float("inf")
