"""Mutants by the hundred in a bounded child process; a new child takes over where one is killed."""

from __future__ import annotations

import gc
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import NamedTuple

from fuzz.judge import Outcome, Watch, judge
from fuzz.kinds import KINDS
from fuzz.values import MARK

SECONDS = 10  # of time, and of processor time, for a mutant
ADDRESS = 2**30  # bytes of address space beyond those of the child at its start
LARGEST_FILE = 2**26  # bytes that reading may write into a file
AT_ONCE = 500  # mutants a child


class Result(NamedTuple):
    """Try one mutant."""

    seed: int
    changed: str
    outcome: Outcome
    seconds: float


def run_kind(name: str, seeds: Sequence[int], templates: Path, place: Path) -> Iterator[Result]:
    """Read mutants of a kind, one after the other."""
    gc.collect()
    gc.freeze()  # what is there already need not be looked at again for each of the mutants that collect
    context, left = multiprocessing.get_context("fork"), list(seeds)
    while left:
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_work, args=(name, left[:AT_ONCE], templates, place, theirs))
        child.start()
        theirs.close()
        changed, begin = "?", time.monotonic()
        for _ in left[:AT_ONCE]:
            try:
                changed, begin = ours.recv(), time.monotonic()
                result = ours.recv()
            except EOFError:
                child.join()
                if child.exitcode and child.exitcode > 0:
                    raise RuntimeError(f"the harness itself failed on {name} {left[0]}") from None
                result = Result(left[0], changed, _killed(child.exitcode), time.monotonic() - begin)
            left.pop(0)
            yield result
            if child.exitcode is not None:
                break
        ours.close()
        child.join()


def _killed(code: int | None) -> Outcome:
    number = -(code or 0)
    if number in (signal.SIGALRM, signal.SIGXCPU):
        return Outcome("time", f"more than {SECONDS} s")
    return Outcome("crash", signal.Signals(number).name if number else "left without a word")


def _work(name: str, seeds: Sequence[int], templates: Path, place: Path, results: Connection) -> None:
    outside, work = _enclose(place)
    watch, before, room = Watch((work, place / "tmp")), _listing(outside), _status("VmSize") + ADDRESS
    for seed in seeds:
        rng, kind, folder = Random(f"{name}:{seed}"), KINDS[name], work / "folder"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(templates / kind.template, folder)
        changed, said = kind.mutate(folder, rng)
        results.send(said)
        begin = time.monotonic()
        with _bounded(room) as peak, watch.watching():
            outcome = judge(kind, folder, changed, rng)
        seconds, peak_mb = time.monotonic() - begin, peak()
        if outcome.name != "memory" and peak_mb > kind.memory:
            outcome = Outcome("memory", f"over {kind.memory} MB, then {outcome.name} {outcome.why}")
        now = _listing(outside)
        if now != before or watch.seen:
            different = sorted({path for path, _ in now ^ before})
            outcome = Outcome("outside", "; ".join([f"changed {path}" for path in different] + watch.seen)[:300])
            outside, work = _enclose(place)
            before = _listing(outside)
        why = outcome.why.replace(str(place), "PLACE")
        results.send(Result(seed, said.replace(str(place), "PLACE"), Outcome(outcome.name, why), seconds))


def _enclose(place: Path) -> tuple[Path, Path]:
    """Make a folder to work in, next to one that nobody may touch, the home and working directory of this process."""
    outside, work = place / "outside", place / "work"
    for folder in (outside, place / "tmp"):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in ("cwd", "home", "victims/inner"):
        (outside / folder).mkdir(parents=True)
    for name in ("victim", "victims/one", "victims/inner/two"):
        (outside / name).write_text("precious")
    (place / "tmp").mkdir()
    os.environ.update(HOME=str(outside / "home"), TMPDIR=str(place / "tmp"))
    tempfile.tempdir = None  # to be looked up anew
    os.chdir(outside / "cwd")
    return outside, work


def _listing(folder: Path) -> set[tuple[str, bytes]]:
    """Names and contents of all that lies in a folder; that a payload's mark is new shows by itself."""
    paths = (path for path in folder.rglob("*") if path.name != "__pycache__")
    return {(str(path.relative_to(folder)), path.read_bytes() if path.is_file() else b"") for path in paths}


class _bounded:
    """Bounds on time, processor time, address space and files within; gives the most memory that was used, in MB."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __enter__(self) -> _bounded:
        Path("/proc/self/clear_refs").write_text("5")  # begin to measure the peak anew
        self.before = _status("VmRSS")
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu = int(used.ru_utime + used.ru_stime) + SECONDS + 1
        limits = {resource.RLIMIT_AS: self.room, resource.RLIMIT_FSIZE: LARGEST_FILE, resource.RLIMIT_CPU: cpu}
        for limit, value in limits.items():
            resource.setrlimit(limit, (value, resource.RLIM_INFINITY))
        signal.alarm(SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        signal.alarm(0)
        self.peak = _status("VmHWM")
        for limit in (resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU):
            resource.setrlimit(limit, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def __call__(self) -> float:
        return (self.peak - self.before) / 2**20


def _status(name: str) -> int:
    """A size of this process, bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def alone(name: str, seed: int, templates: Path, place: Path) -> None:
    """Read one mutant in this very process, and show all of it."""
    _, work = _enclose(place)
    rng, kind = Random(f"{name}:{seed}"), KINDS[name]
    folder = work / "folder"
    shutil.copytree(templates / kind.template, folder)
    changed, said = kind.mutate(folder, rng)
    sys.stdout.write(f"{said}\n")
    watch = Watch((work, place / "tmp"))
    with _bounded(_status("VmSize") + ADDRESS) as peak, watch.watching():
        outcome = judge(kind, folder, changed, rng, verbose=True)
    sys.stdout.write(f"{outcome.name} {outcome.why}\n{peak():.0f} MB, outside: {watch.seen or 'nothing seen'}\n")
    if (place / "outside" / MARK).exists():
        sys.stdout.write("a payload ran\n")
