"""A stand-in for small disks where none may be mounted: files that Python opens below a folder have a bounded size.

It counts blocks of 4 kB, as a small disk does. What C++ code or other programs write is not limited.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import json
import os
from pathlib import Path
from typing import Any

BLOCK = 4096


def used(folder: Path) -> int:
    """Bytes of all blocks below a folder."""
    blocks = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                blocks += -(-os.lstat(os.path.join(place, name)).st_size // BLOCK)
    return BLOCK * blocks


class _Limited(io.FileIO):
    """A file below a folder of limited room."""

    limits: Path  # JSON: bytes by folder

    def write(self, data: Any) -> int:
        """Write what there is room for, as the system does; with room for nothing, raise ``ENOSPC``."""
        data = memoryview(data).cast("B")
        return super().write(data[: self._room(len(data))])

    def _room(self, wanted: int) -> int:
        limits, size = json.loads(self.limits.read_bytes()), os.fstat(self.fileno()).st_size
        path, position = os.readlink(f"/proc/self/fd/{self.fileno()}"), self.tell()
        for folder, limit in limits.items():
            if path.startswith(f"{folder}/") and wanted:
                blocks = (limit - used(Path(folder))) // BLOCK + -(-size // BLOCK)  # those that this file may have
                wanted = min(wanted, blocks * BLOCK - position)
                if wanted <= 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return wanted


def limit(limits: Path) -> None:
    """Limit the files that this process opens to write, by a JSON file of bytes by folder, read at every write."""
    _Limited.limits, unlimited = limits, io.open

    def limited(
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        if not set(mode) & set("wax+"):
            return unlimited(file, mode, buffering, encoding, errors, newline, closefd, opener)
        raw = _Limited(file, mode.replace("b", "").replace("t", ""), closefd, opener)
        if buffering == 0:
            return raw
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline, buffering == 1)

    io.open = builtins.open = limited  # type: ignore[assignment]
