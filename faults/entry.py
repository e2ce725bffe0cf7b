"""Run wskan's own entry point in a process under trial, with a small recipe and the trap that ``FAULTS_TRAP`` names.

Traps (JSON): ``{"under": FOLDER, "change": N, "bytes": B}`` ends the process without warning at the N-th change of
files in FOLDER. With B it ends it in the middle of a write, as soon as a file grows beyond B bytes.
``{"plant": [PATHS], "target": FILE}`` makes predictable temporary names links.
``FAULTS_LIMITS`` names a file that limits the room of folders, see :mod:`faults.quota`.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}


def is_change(event: str, arguments: tuple[Any, ...], under: str) -> bool:
    """Return whether an audit event is about to change something in a folder. Relative names are possible."""
    if event == "open":
        writing = isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        paths = arguments[:1] if writing else ()
    else:
        paths = arguments[:2] if event in CHANGES else ()
    names = [os.fsdecode(path) for path in paths if isinstance(path, str | bytes | os.PathLike)]
    return any(name.startswith(under) or not name.startswith("/") for name in names)


def set_trap(under: str, change: int, bytes: int | None = None) -> None:
    """End this process at a change of files."""
    left = change

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if left <= 0 or not is_change(event, arguments, under):
            return
        left -= 1
        if left == 0 and bytes is None:
            os.kill(os.getpid(), signal.SIGKILL)
        elif left == 0:
            resource.setrlimit(resource.RLIMIT_FSIZE, (bytes, resource.RLIM_INFINITY))

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
    sys.addaudithook(hook)


def plant(plant: list[str], target: str) -> None:
    """Make the temporary name that each file has been written under a link to a file elsewhere."""
    for name in map(Path, plant):
        name.parent.mkdir(parents=True, exist_ok=True)
        name.with_name(f".{name.name}.{os.getpid()}.tmp").symlink_to(target)


def enter_recipe() -> None:
    """Enter ``faults``: 64 KANs in 16 shards."""
    import dataclasses

    from wskan.zoo import recipes

    digits = recipes.get_recipe("digits-inr")
    recipes.RECIPES["faults"] = dataclasses.replace(digits, name="faults", train=32, val=16, test=16, shard_size=4)


if __name__ == "__main__":
    if "FAULTS_LIMITS" in os.environ:
        import quota

        quota.limit(Path(os.environ["FAULTS_LIMITS"]))
    sys.path.pop(0)  # this folder
    trap = json.loads(os.environ.pop("FAULTS_TRAP", "{}"))
    if "faults" in sys.argv:
        enter_recipe()
    if "plant" in trap:
        plant(**trap)
    elif trap:
        set_trap(**trap)
    from wskan.cli import main

    sys.exit(main())
