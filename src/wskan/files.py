"""Writing files so that nothing that existed is ever lost."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from wskan.errors import DataError


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then rename it: readers see the old file or the new, never a part.

    Raises:
        DataError: the disk is full or may not be written to; what existed is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise DataError(
            f"could not write {path}: {error}; make room or choose another folder, then run the same command again: "
            "what is finished is kept"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def empty(folder: Path) -> bool:
    """Whether a folder is absent, or holds nothing but what a killed process left half-written.

    Raises:
        DataError: it is a file, or may not be read.
    """
    try:
        return not folder.exists() or all(
            path.name.startswith(".") and path.name.endswith(".tmp") for path in folder.iterdir()
        )
    except OSError as error:
        raise DataError(f"{folder} cannot be used: {error}; choose another folder") from error
