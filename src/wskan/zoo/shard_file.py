"""Reading rows out of a shard's file, which others may cut or change meanwhile."""

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

AGAIN = "`wskan zoo build` makes it again"


class ShardFile:
    """A shard whose tensors are mapped into memory, for their shapes, and whose rows are read by calls to the system.

    To touch pages of a mapped file that was cut would end the process.

    Attributes:
        path: where it lies.
        tensors: all that is in it, by name.

    Raises:
        DataError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            if not path.is_file():  # to open a pipe would wait for ever
                raise DataError(f"{path}: is not a regular file; {AGAIN}")
            self._stamp = _stamp(path)
            with safe_open(path, framework="pt") as file:  # which checks the header, too
                self.tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({reason(error)}); {AGAIN}") from error
        except SafetensorError as error:
            raise DataError(f"{path}: cannot be read ({reason(error)}); {AGAIN}") from error
        self._begin: dict[int, int] | None = None

    @contextlib.contextmanager
    def rows(self, rows: Tensor) -> Iterator[RowReader]:
        """Let some of the rows be read, and make sure that what was read is what was there when it was opened.

        Raises:
            DataError: the file was changed, cut or removed.
        """
        try:
            with FileIO(self.path) as file:
                self._check()
                if self._begin is None:
                    self._begin = self._places(file)
                yield RowReader(file, self._begin, rows)
                self._check()
        except (OSError, EOFError) as error:
            why = reason(error) if isinstance(error, OSError) else "cut short"
            raise DataError(f"{self.path}: cannot be read any more ({why}); {AGAIN}") from error

    def _places(self, file: FileIO) -> dict[int, int]:
        """Where each tensor begins in the file, by where it begins in memory."""
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        return {
            tensor.data_ptr(): 8 + length + header[name]["data_offsets"][0] for name, tensor in self.tensors.items()
        }

    def _check(self) -> None:
        if _stamp(self.path) != self._stamp:
            raise DataError(
                f"{self.path}: has changed since it was opened; `wskan zoo verify` says whether it is whole, "
                f"and {AGAIN} if not; then run the same command again"
            )


class RowReader:
    """Reads the same rows of one tensor after another; rows that follow each other at once."""

    def __init__(self, file: FileIO, begin: dict[int, int], rows: Tensor) -> None:
        self.file, self.begin, self.index = file, begin, rows
        gaps = (rows.diff() != 1).nonzero().squeeze(1) + 1
        edges = [0, *gaps.tolist(), len(rows)]
        self.runs = list(zip(edges, edges[1:], rows[edges[:-1]].tolist(), strict=False))

    def __call__(self, tensor: Tensor) -> Tensor:
        """The rows of a tensor ``[n, ...]`` of the file, or of one that takes no memory."""
        place = self.begin.get(tensor.data_ptr())
        if place is None:
            return tensor[self.index]
        piece = torch.empty(len(self.index), *tensor.shape[1:], dtype=tensor.dtype)
        size = piece.element_size() * piece[0].numel()
        target = piece.numpy().data.cast("B")
        for begin, end, first in self.runs:
            self.file.seek(place + first * size)
            part = target[begin * size : end * size]
            while part:
                if not (count := self.file.readinto(part)):
                    raise EOFError
                part = part[count:]
        return piece


def _stamp(path: Path) -> tuple[int, int]:
    """What differs once a file was written to."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns
