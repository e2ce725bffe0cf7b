"""Reading image files in their publishers' layouts, and nothing more than those layouts."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wskan.errors import DataError

CIFAR_RECORD = 1 + 3 * 32 * 32  # label, then the red, green and blue planes


def read_idx(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, gzipped or not.

    Args:
        path: the file; a name that ends in ``.gz`` is decompressed, never beyond the expected size.
        shape: the exact dimensions that it must have; -1 accepts up to 1,000,000.

    Raises:
        DataError: it is damaged or something else.
    """
    header = 4 + 4 * len(shape)
    head = _read(path, header)
    if len(head) < header or head[:3] != b"\0\0\x08" or head[3] != len(shape):
        raise DataError(f"{path}: not an IDX file of {len(shape)}-dimensional bytes (it begins with {head[:4]!r})")
    found = struct.unpack(f">{len(shape)}I", head[4:])
    if any(n != m and not (m == -1 and 0 < n <= 1_000_000) for n, m in zip(found, shape, strict=True)):
        raise DataError(f"{path}: has dimensions {found}, expected {shape}")
    size = int(np.prod(found))
    data = _read(path, header + size + 1)
    if len(data) != header + size:
        raise DataError(f"{path}: has {len(data):,} bytes or more, its header promises {header + size:,}; get it again")
    return np.frombuffer(data, np.uint8, offset=header).reshape(found)


def read_cifar(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read one batch file of the binary version of CIFAR-10: images ``[N, 32, 32, 3]`` and labels ``[N]``.

    Raises:
        DataError: it is damaged or something else.
    """
    data = np.frombuffer(_read(path, 10_000 * CIFAR_RECORD + 1), np.uint8)
    if len(data) == 0 or len(data) % CIFAR_RECORD or len(data) > 10_000 * CIFAR_RECORD:
        raise DataError(f"{path}: {len(data):,} bytes are not up to 10,000 records of {CIFAR_RECORD:,}; get it again")
    records = data.reshape(-1, CIFAR_RECORD)
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, 0]


def _read(path: Path, limit: int) -> bytes:
    """At most ``limit`` bytes of the content, however much a file would decompress to."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return file.read(limit)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); get it again") from error
