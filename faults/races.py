"""Two processes at work in one folder."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from faults.lab import Lab, compare
from faults.process import Ending
from faults.scenario import Verdict, scenario

PROMISE = "the second waits, or says who holds it (exit code 2, one line); the bytes are those of one alone"
WAITS = 3.0  # times as long as it takes alone, a second process is given to end beside a first that stands still


def _race(
    lab: Lab,
    command: list[object],
    folder: Path,
    whole: Path | None,
    repetitions: int,
    fresh: Callable[[], tuple[list[object], Path]],
) -> Verdict:
    """Two at the same time, over and over; at the end a third must find the work done."""
    verdict, endings = Verdict(), []
    for _ in range(repetitions):
        first = lab.start(*command)
        first.until(lambda: False, lab.random.uniform(0, 0.5))
        second = lab.start(*command)
        pair = [first.wait(), second.wait()]
        endings += pair
        verdict.add(*(ending.failed_unclearly(folder) for ending in pair))
        verdict.need(any(ending.code == 0 for ending in pair), f"neither succeeded: {pair[0]}")
        verdict.add(lab.run(*command).failure() or (compare(folder, whole) if whole else ""))
        command, folder = fresh()
    verdict.happened = f"{repetitions} times two: {_codes(endings)}"
    return verdict


def _codes(endings: list[Ending]) -> str:
    return ", ".join(
        f"{sum(e.code == code for e in endings)} times exit {code}" for code in sorted({e.code for e in endings})
    )


def _held(lab: Lab, make: Callable[[Path], list[object]], whole: Path, alone: float, sign: str) -> Verdict:
    """Stop a process in the middle of its work, start a second, and let the first continue."""
    folder = lab.folder("held")
    command = make(folder)
    first = lab.start(*command)
    first.until(lambda: any(folder.glob(sign)))
    first.send(signal.SIGSTOP)
    second = lab.start(*command)
    second.until(lambda: False, WAITS * alone)
    verdict = Verdict("the second waits for the first, which stands still")
    if not second.running:
        ending = second.wait()
        verdict.happened = f"beside a first that stands still: {ending}"
        verdict.add("worked in a folder that another process holds" if ending.code == 0 else ending.unclear(folder))
    first.send(signal.SIGCONT)
    verdict.add(*(process.wait().failed_unclearly(folder) for process in (first, second)))
    verdict.add(lab.run(*command).failure() or compare(folder, whole))
    return verdict


@scenario("two builders of one zoo, the first stopped half-way", PROMISE, quick=True)
def held_build(lab: Lab) -> Verdict:
    """A builder that has written a shard stands still."""
    whole = lab.zoo
    return _held(lab, lab.build, whole, lab.seconds["build"], "shards/*.safetensors")


@scenario("two trainers of one run, the first stopped half-way", PROMISE)
def held_training(lab: Lab) -> Verdict:
    """A trainer that has written a checkpoint stands still."""
    whole = lab.trained
    return _held(lab, lab.train, whole, lab.seconds["train"], "checkpoints/last.ckpt")


@scenario("two builders of one zoo", PROMISE)
def two_builders(lab: Lab) -> Verdict:
    """Start two within half a second."""

    def fresh() -> tuple[list[object], Path]:
        return lab.build(folder := lab.folder("zoo")), folder

    return _race(lab, *fresh(), lab.zoo, lab.times(5), fresh)


@scenario("two trainers of one run", PROMISE)
def two_trainers(lab: Lab) -> Verdict:
    """Start two within half a second."""

    def fresh() -> tuple[list[object], Path]:
        return lab.train(folder := lab.folder("run")), folder

    return _race(lab, *fresh(), lab.trained, lab.times(5), fresh)


@scenario("two aligners into one folder", PROMISE)
def two_aligners(lab: Lab) -> Verdict:
    """Start two within half a second."""

    def fresh() -> tuple[list[object], Path]:
        return lab.align(folder := lab.folder("aligned")), folder

    return _race(lab, *fresh(), lab.aligned, lab.times(5), fresh)


@scenario("two reproduce in one workspace", PROMISE)
def two_reproductions(lab: Lab) -> Verdict:
    """Start two within half a second."""

    def fresh() -> tuple[list[object], Path]:
        return lab.reproduce(folder := lab.folder("work"), lab.folder("out")), folder

    return _race(lab, *fresh(), None, lab.times(3), fresh)


@scenario("two processes that compile one kernel", "both end in the same zoo")
def two_compilers(lab: Lab) -> Verdict:
    """Start two builders with one empty cache of kernels."""
    cache, folders, verdict = lab.folder("cache"), [lab.folder("zoo"), lab.folder("zoo")], Verdict()
    processes = [lab.start(*lab.build(folder), WSKAN_CACHE=cache) for folder in folders]
    for process, folder in zip(processes, folders, strict=True):
        verdict.add(process.wait().failure() or compare(folder, lab.zoo))
    left = [str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_dir() and path.name != "kernels"]
    verdict.need(not left, f"left in the cache: {left}")
    verdict.happened = "both compiled"
    return verdict
