"""Provenance of a result: command, commit, machine and versions, saved next to it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from wskan.printing import plain


def provenance() -> dict[str, Any]:
    """Collect the command line, commit, processor, cores and versions as JSON types.

    The commit ends in ``-dirty`` if anything but results has changed since.
    """
    return {
        "command": _command(),
        "commit": _commit(),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in ("wskan", "torch", "torch-geometric", "pykan")},
        },
    }


def _command() -> str:
    """Return the command as typed, with absolute paths cut to file names, because folders are private."""
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv]
    program = Path(words[0]).name
    return plain(" ".join([*(["python"] if program.endswith(".py") else []), program, *words[1:]]), 100_000)


def _commit() -> str:
    """Return the commit of this file's own repository, not of one that it is merely installed in."""
    commit = _git("describe", "--always", "--abbrev=12") if _git("ls-files", Path(__file__).name) else ""
    changed = commit and _git("status", "--porcelain", "--untracked-files=no", "--", ":(top)", ":(top,exclude)results")
    return (commit + ("-dirty" if changed else "")) or "unknown"


def _git(*arguments: str) -> str:
    try:
        result = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
