"""SIGINT, SIGTERM and SIGHUP at random moments."""

from __future__ import annotations

import os
import signal
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

from faults.lab import SOURCE, Lab, compare
from faults.process import Ending, Process
from faults.scenario import RESUMES, Verdict, scenario

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
PROMISE = (
    "exit code 130, 143 or 129 (0 if its work was finished), at most two lines and no traceback, no child after 3 s; "
)
LARGE, SHARDS = ["--train", "1197", "--val", "300", "--test", "300"], 8  # seconds

BEGIN = 0.03  # seconds until a handler can be there: before, Python itself answers, in many lines


def _start(lab: Lab, *arguments: object) -> Process:
    """Start ``wskan`` as pip installs it, and return when its first line runs. Before that, Python answers signals."""
    script = lab.root / "wskan"
    if not script.exists():
        text = (SOURCE.parent / "pyproject.toml").read_text()
        module, function = tomllib.loads(text)["project"]["scripts"]["wskan"].split(":")
        script.write_text(
            "import os, sys\nif 'FAULTS_BEGUN' in os.environ: open(os.environ.pop('FAULTS_BEGUN'), 'w').close()\n"
            f"from {module} import {function}\nif __name__ == '__main__': sys.exit({function}())\n"
        )
    begun = lab.folder("begun")
    process = Process(
        [sys.executable, str(script), *map(str, arguments)], lab.environment | {"FAULTS_BEGUN": str(begun)}, lab.root
    )
    process.until(begun.exists)
    return process


def _finished(folder: Path) -> bool:
    """Return whether its work was done. While Python shuts down, it answers signals as the system does, silently."""
    texts = {
        name: (folder / name).read_text() if (folder / name).exists() else "" for name in ("run.json", "manifest.json")
    }
    built = texts["manifest.json"].count('"sha256"') == SHARDS
    return built or '"finished": true' in texts["run.json"] or (folder / "out" / "table1" / "smoke.png").exists()


def _unclean(process: Process, ending: Ending, number: signal.Signals, early: bool, finished: bool) -> list[str]:
    """Return what is wrong with how a process ended that was sent a signal: before its work was finished, or after."""
    name, wrong = number.name + (" in the first 0.3 s" if early else ""), []
    if ending.code != CODES[number] and not (finished and ending.code == 0):
        wrong.append(f"{name}: {ending}")
    if len(ending.errors) > 2 or any("Traceback" in line for line in ending.errors):
        wrong.append(f"{name}: {len(ending.errors)} lines, the last: {ending.errors[-1][:120]}")
    if not early and not ending.errors and not finished:
        wrong.append(f"{name}: ends without a word")
    if orphans := process.orphans():
        wrong.append(f"{name}: {len(orphans)} children left")
        process.kill()
    return wrong


def _interrupt(
    lab: Lab,
    command: Callable[[Path], list[object]],
    verdict: Verdict,
    count: int,
    seconds: float,
    early: bool,
    numbers: list[signal.Signals],
) -> Path:
    """Send signals to one process after another, each of which resumes the last. Return the last folder."""
    folder, sent = lab.folder("signals"), 0
    while sent < count * len(numbers):
        number = numbers[sent % len(numbers)]
        process = _start(lab, *command(folder))
        process.until(lambda: False, lab.random.uniform(BEGIN, 0.3) if early else lab.random.uniform(0.3, seconds))
        if not process.running:
            verdict.add(process.wait().failure())
            folder, seconds = lab.folder("signals"), seconds * 0.8
            continue
        process.send(number, group=number is not signal.SIGTERM)  # a terminal reaches all, kill only one
        finished = _finished(folder)
        verdict.add(*_unclean(process, process.wait(60), number, early, finished))
        sent += 1
        if _finished(folder):
            folder = lab.folder("signals")  # most of what is left to interrupt would be imports
    verdict.happened += f"{sent} signals {'in the first 0.3 s' if early else 'later'}; "
    return folder


def _signals(
    lab: Lab, command: Callable[[Path], list[object]], seconds: float, numbers: list[signal.Signals] | None = None
) -> tuple[Verdict, Path]:
    """Early and late signals; a last run must end well."""
    verdict, numbers = Verdict(), numbers or list(CODES)
    _interrupt(lab, command, verdict, lab.times(3), 0, True, numbers)
    folder = _interrupt(lab, command, verdict, lab.times(10), seconds, False, numbers)
    verdict.add(lab.run(*command(folder)).failure())
    return verdict, folder


@scenario("train", PROMISE + RESUMES)
def interrupted_trainings(lab: Lab) -> Verdict:
    """Send signals between start and end of a small training."""
    whole = lab.trained
    verdict, folder = _signals(lab, lab.train, lab.seconds["train"])
    verdict.add(compare(folder, whole))
    return verdict


@scenario("zoo build", PROMISE + RESUMES)
def interrupted_builds(lab: Lab) -> Verdict:
    """Send signals between start and end of a zoo of 1,797 KANs."""
    verdict, folder = _signals(lab, lambda folder: ["zoo", "build", "digits-inr", folder, *LARGE], 8)
    verdict.add(lab.run("zoo", "verify", folder).failure())
    return verdict


@scenario("zoo build, one early SIGINT and one late SIGTERM", PROMISE, quick=True)
def two_signals(lab: Lab) -> Verdict:
    """Try what CI tries."""
    verdict = Verdict()

    def command(folder: Path) -> list[object]:
        return ["zoo", "build", "digits-inr", folder, *LARGE]

    _interrupt(lab, command, verdict, 1, 0, True, [signal.SIGINT])
    _interrupt(lab, command, verdict, 1, 2, False, [signal.SIGTERM])
    return verdict


def _reproductions(jobs: int) -> None:
    def run(lab: Lab) -> Verdict:
        def command(folder: Path) -> list[object]:
            return lab.reproduce(folder / "work", folder / "out", jobs)

        return _signals(lab, command, 12)[0]

    run.__module__ = __name__
    scenario(f"reproduce --jobs {jobs}", f"{PROMISE}the same command goes on")(run)


_reproductions(1)
_reproductions(2)


@scenario("reproduce --jobs 2, SIGKILL to the parent alone", "no child after 5 s; the same command goes on")
def killed_parent(lab: Lab) -> Verdict:
    """Kill the parent when its workers train."""
    folder, verdict = lab.folder("signals"), Verdict("killed when a worker had begun a run")
    command = lab.reproduce(folder / "work", folder / "out", 2)
    process = _start(lab, *command)
    process.until(lambda: any(folder.glob("work/runs/*/*/run.json")))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    verdict.need(not process.orphans(5), "children left")
    process.kill()
    verdict.add(lab.run(*command).failure())
    return verdict
