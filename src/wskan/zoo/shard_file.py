"""Reading rows of a shard's file, which other processes may change at any time."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from wskan.errors import DataError, reason

REBUILD_HINT = "`wskan zoo build` makes it again"


class ShardFile:
    """A shard whose tensors are memory-mapped for their shapes, and whose rows are read with ``read``.

    Reading mapped pages of a file that was truncated would kill the process.

    Attributes:
        path: path of the file.
        tensors: all tensors by name.

    Raises:
        DataError: the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            if not path.is_file():  # to open a pipe would wait for ever
                raise DataError(f"{path}: is not a regular file; {REBUILD_HINT}")
            self._stamp = _stamp(path)
            with safe_open(path, framework="pt") as file:  # also checks the header
                self.tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise DataError(f"{path}: cannot be read ({reason(error)}); {REBUILD_HINT}") from error
        self._offsets: dict[int, int] | None = None

    @contextlib.contextmanager
    def rows(self, rows: Tensor) -> Iterator[RowReader]:
        """Read some of the rows, and check that the file has not changed since it was opened.

        Args:
            rows: rows to read, ``[m]`` int64.

        Yields:
            A reader of these rows, for one tensor after another.

        Raises:
            DataError: the file was changed, truncated or removed.
        """
        try:
            with FileIO(self.path) as file:
                self._check()
                if self._offsets is None:
                    self._offsets = self._read_offsets(file)
                yield RowReader(file, self._offsets, rows)
                self._check()
        except (OSError, EOFError) as error:
            why = reason(error) if isinstance(error, OSError) else "cut short"
            raise DataError(f"{self.path}: cannot be read any more ({why}); {REBUILD_HINT}") from error

    def _read_offsets(self, file: FileIO) -> dict[int, int]:
        """Read the offset of each tensor in the file, by its address in memory."""
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        return {
            tensor.data_ptr(): 8 + length + header[name]["data_offsets"][0] for name, tensor in self.tensors.items()
        }

    def _check(self) -> None:
        if _stamp(self.path) != self._stamp:
            raise DataError(
                f"{self.path}: has changed since it was opened; `wskan zoo verify` checks it, "
                f"and {REBUILD_HINT} if it is damaged; then run the same command again"
            )


class RowReader:
    """A reader of the same rows of several tensors. Consecutive rows are read at once."""

    def __init__(self, file: FileIO, offsets: dict[int, int], rows: Tensor) -> None:
        self.file, self.offsets, self.index = file, offsets, rows
        gaps = (rows.diff() != 1).nonzero().squeeze(1) + 1
        edges = [0, *gaps.tolist(), len(rows)]
        self.runs = list(zip(edges, edges[1:], rows[edges[:-1]].tolist(), strict=False))

    def __call__(self, tensor: Tensor) -> Tensor:
        """Return the rows of a tensor ``[n, ...]``, which is in the file or an expanded one that takes no memory."""
        offset = self.offsets.get(tensor.data_ptr())
        if offset is None:
            return tensor[self.index]
        piece = torch.empty(len(self.index), *tensor.shape[1:], dtype=tensor.dtype)
        size = piece.element_size() * piece[0].numel()
        target = piece.numpy().data.cast("B")
        for begin, end, first in self.runs:
            self.file.seek(offset + first * size)
            part = target[begin * size : end * size]
            while part:
                if not (count := self.file.readinto(part)):
                    raise EOFError
                part = part[count:]
        return piece


def _stamp(path: Path) -> tuple[int, int]:
    """Return size and modification time, which differ after a write."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns
