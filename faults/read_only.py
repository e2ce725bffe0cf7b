"""Folders that may not be written to: by their mode, and on a disk mounted so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from faults.lab import Lab, can_mount, mount
from faults.scenario import CLEAR, Verdict, scenario

Command = Callable[[Path], list[object]]


def _by_mode(lab: Lab, command: Command) -> str:
    """Return what is wrong in a folder of mode 0555."""
    folder = lab.folder("locked")
    folder.mkdir()
    folder.chmod(0o555)
    try:
        return lab.run(*command(folder), rights=False).unclear(folder)
    finally:
        folder.chmod(0o755)


def _by_mount(lab: Lab, command: Command) -> str:
    """Return what is wrong on a disk mounted read-only."""
    if not can_mount():
        return ""
    disk = lab.disk(64)
    mount("-o", "remount,ro", disk)
    return lab.run(*command(disk / "below")).unclear(disk)


def _read_only(name: str, command: Callable[[Lab], Command], quick: bool = False) -> None:
    def run(lab: Lab) -> Verdict:
        verdict = Verdict("mode 0555, and mounted read-only" if can_mount() else "mode 0555")
        verdict.add(_by_mode(lab, command(lab)))
        if not lab.quick:
            verdict.add(_by_mount(lab, command(lab)))
        return verdict

    run.__module__ = __name__
    scenario(name, CLEAR, quick=quick)(run)


_read_only("zoo build into it", lambda lab: lab.build)
_read_only("train into it", lambda lab: lab.train)
_read_only("zoo align into it", lambda lab: lab.align)
_read_only("reproduce with the workspace in it", lambda lab: lambda folder: lab.reproduce(folder, lab.folder("out")))
_read_only("reproduce with the results in it", lambda lab: lambda folder: lab.reproduce(lab.folder("work"), folder))


@scenario("a finished zoo, alignment and run in it", "they are read as anywhere")
def read_only_sources(lab: Lab) -> Verdict:
    """Verify, train from, and ask again for what lies in folders without the right to write."""
    verdict = Verdict()
    copies = {
        name: lab.copy(folder) for name, folder in (("zoo", lab.zoo), ("run", lab.trained), ("aligned", lab.aligned))
    }
    folders = [path for copy in copies.values() for path in (copy, *copy.rglob("*")) if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    commands = {
        "verify": ["zoo", "verify", copies["zoo"]],
        "build again": lab.build(copies["zoo"]),
        "train from it": lab.train(lab.folder("run"), copies["zoo"]),
        "train again": lab.train(copies["run"]),
        "align again": lab.align(copies["aligned"]),
    }
    for name, command in commands.items():
        if wrong := lab.run(*command, rights=False).failure():
            verdict.add(f"{name}: {wrong}")
    for folder in folders:
        folder.chmod(0o755)
    verdict.happened = ", ".join(commands)
    return verdict
