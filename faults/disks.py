"""Full disks: of the folder that is written to, of TMPDIR, and filled by another program."""

from __future__ import annotations

import contextlib
import shutil
import time
import zipfile
from pathlib import Path

from faults.lab import Lab, can_mount, compare, contents
from faults.process import Process
from faults.scenario import CLEAR, RESUMES, Verdict, scenario

ROOM = 16 * 1024  # kB that are enough for anything here


def _full_then_resized(lab: Lab, command: list[object], disk: Path, folder: Path, whole: Path) -> Verdict:
    """Run a command on a disk that is too small, give it room, and run it again."""
    ending = lab.run(*command)
    verdict = Verdict(str(ending))
    verdict.add(ending.unclear(folder))
    verdict.add(
        *(f"left over: {name}" for name in contents(folder) if name.endswith(".tmp")) if folder.exists() else ()
    )
    lab.resize(disk, ROOM)
    verdict.add(lab.run(*command).failure() or compare(folder, whole))
    return verdict


@scenario("zoo build on a disk that fills up", f"{CLEAR}; with room, {RESUMES}", quick=True)
def full_build(lab: Lab) -> Verdict:
    """Room for a few shards."""
    disk = lab.disk(120)
    return _full_then_resized(lab, lab.build(disk / "zoo"), disk, disk / "zoo", lab.zoo)


@scenario("zoo align on a full disk", f"{CLEAR}; with room, {RESUMES}")
def full_alignment(lab: Lab) -> Verdict:
    """Room for less than the alignment."""
    disk = lab.disk(4)
    return _full_then_resized(lab, lab.align(disk / "aligned"), disk, disk / "aligned", lab.aligned)


@scenario("train on a disk that fills up", f"{CLEAR}; with room, {RESUMES}")
def full_training(lab: Lab) -> Verdict:
    """Room for a checkpoint and a half."""
    disk = lab.disk(280)
    return _full_then_resized(lab, lab.train(disk / "run"), disk, disk / "run", lab.trained)


@scenario("train with a full TMPDIR", "it succeeds, or exit code 2 and one line that names TMPDIR, not the run")
def full_temporary(lab: Lab) -> Verdict:
    """Room for less than a checkpoint, where temporary files go; plenty where the run lies."""
    disk, folder = lab.disk(8), lab.folder("run")
    ending = lab.run(*lab.train(folder), TMPDIR=disk)
    verdict = Verdict(str(ending))
    verdict.add(ending.failed_unclearly(disk))
    verdict.need(ending.code == 0 or str(folder) not in ending.errors[-1], f"blames the run: {ending}")
    verdict.add(lab.run(*lab.train(folder)).failure() or compare(folder, lab.trained))
    return verdict


@scenario(
    "another program fills the disk under a training",
    f"{CLEAR}; the checkpoints are as they were or newer; with room, {RESUMES}",
)
def filled_by_another(lab: Lab) -> Verdict:
    """Take every byte that becomes free after a resumed run has written its first line of logs."""
    disk = lab.disk(ROOM)
    folder, command = disk / "run", lab.train(disk / "run")
    shutil.copytree(lab.begun, folder)
    before = contents(folder / "checkpoints").keys()
    process = lab.start(*command)
    process.until(lambda: any(path.stat().st_size for path in folder.glob("logs/version_1/metrics.csv")))
    if can_mount():
        _fill_while(disk / "filler", process)
    else:
        lab.resize(disk, 0)
    ending = process.wait()
    verdict = Verdict(str(ending))
    verdict.add(ending.unclear(folder))
    verdict.add(
        *(f"{name} is missing or cut" for name in sorted(before) if not _is_whole(folder / "checkpoints" / name))
    )
    (disk / "filler").unlink(missing_ok=True)
    lab.resize(disk, ROOM)
    verdict.add(lab.run(*command).failure() or compare(folder, lab.trained))
    return verdict


def _is_whole(checkpoint: Path) -> bool:
    """Return whether a checkpoint is an archive, to its last byte."""
    return zipfile.is_zipfile(checkpoint) and zipfile.ZipFile(checkpoint).testzip() is None


def _fill_while(path: Path, process: Process) -> None:
    with path.open("wb", buffering=0) as file:
        while process.running:
            for size in (2**16, 2**12):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)):
                        pass
            time.sleep(0.0005)


@scenario("reproduce in a workspace on a disk that fills up", f"{CLEAR}; with room it ends")
def full_workspace(lab: Lab) -> Verdict:
    """Room for a zoo and a part of the first run."""
    disk, out = lab.disk(500), lab.folder("out")
    command = lab.reproduce(disk / "work", out)
    ending = lab.run(*command)
    lab.resize(disk, ROOM)
    verdict = Verdict(str(ending))
    verdict.add(ending.unclear(disk), lab.run(*command).failure())
    return verdict


@scenario("reproduce with its results on a full disk", f"{CLEAR}; with room it ends")
def full_results(lab: Lab) -> Verdict:
    """Room for less than the result file."""
    disk, work = lab.disk(8), lab.folder("work")
    command = lab.reproduce(work, disk / "out")
    ending = lab.run(*command)
    lab.resize(disk, ROOM)
    verdict = Verdict(str(ending))
    verdict.add(ending.unclear(disk), lab.run(*command).failure())
    return verdict


@scenario(
    "zoo build with the kernel cache on a full disk", "it ends in the same zoo, by PyTorch if need be, or says why not"
)
def full_cache(lab: Lab) -> Verdict:
    """No room to compile in."""
    if not can_mount():
        return Verdict("no disk may be mounted here, and a compiler knows no stand-in", skipped=True)
    disk, folder = lab.disk(8), lab.folder("zoo")
    ending = lab.run(*lab.build(folder), WSKAN_CACHE=disk)
    verdict = Verdict(str(ending))
    verdict.add(ending.failed_unclearly(disk))
    left = [name for name in contents(disk) if not name.endswith(".so")]
    verdict.need(not left, f"left in the cache: {', '.join(left)[:150]}")
    return verdict
