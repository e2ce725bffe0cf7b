"""Read image files in their publishers' layouts, and only in those layouts."""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wskan.errors import DataError, reason
from wskan.reading import read_bytes

CIFAR_RECORD = 1 + 3 * 32 * 32  # label, then the red, green and blue planes
CIFAR_BATCH, LEAST_BATCH = 10_000, 100  # records as published, and the least number accepted as a batch
MOST = 100_000  # images per file; the MNIST family has up to 60,000


def read_idx(path: Path, shape: tuple[int, ...]) -> tuple[NDArray[np.uint8], str]:
    """Read an IDX file of unsigned bytes, gzipped or not.

    Args:
        path: the file. If the name ends in ``.gz`` it is decompressed, but never beyond the largest size allowed.
        shape: the exact dimensions that it must have; -1 accepts up to 100,000.

    Returns:
        The array, and the SHA-256 of the decompressed file.

    Raises:
        DataError: the file is damaged or is something else.
    """
    header = 4 + 4 * len(shape)
    data = _read(path, header + int(np.prod([MOST if n == -1 else n for n in shape])))
    if len(data) < header or data[:3] != b"\0\0\x08" or data[3] != len(shape):
        raise DataError(f"{path}: not an IDX file of {len(shape)}-dimensional bytes (it begins with {data[:4]!r})")
    found = struct.unpack(f">{len(shape)}I", data[4:header])
    if any(n != m and not (m == -1 and 0 < n <= MOST) for n, m in zip(found, shape, strict=True)):
        raise DataError(f"{path}: has dimensions {found}, expected {shape} (-1: up to {MOST:,}); get it again")
    size = header + int(np.prod(found))
    if len(data) != size:
        raise DataError(f"{path}: has {len(data):,} bytes, but its header says {size:,}; get it again")
    return np.frombuffer(data, np.uint8, offset=header).reshape(found), hashlib.sha256(data).hexdigest()


def read_cifar(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
    """Read one batch file of the binary version of CIFAR-10.

    Returns:
        Images ``[N, 32, 32, 3]``, labels ``[N]`` and the SHA-256 of the file.

    Raises:
        DataError: the file is damaged or is something else.
    """
    data = _read(path, CIFAR_BATCH * CIFAR_RECORD)
    count, rest = divmod(len(data), CIFAR_RECORD)
    if rest or count < LEAST_BATCH:
        raise DataError(
            f"{path}: {len(data):,} bytes are not {LEAST_BATCH} to {CIFAR_BATCH:,} records of {CIFAR_RECORD:,} bytes; "
            "get it again"
        )
    records = np.frombuffer(data, np.uint8).reshape(-1, CIFAR_RECORD)
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return images, records[:, 0], hashlib.sha256(data).hexdigest()


def _read(path: Path, limit: int) -> bytes:
    """Return at most ``limit`` bytes of content, however much the file would decompress to."""
    data = read_bytes(path, limit)
    if path.suffix != ".gz":
        return data
    inflater = zlib.decompressobj(wbits=31)  # the gzip format
    try:
        content = inflater.decompress(data, limit + 1)
    except zlib.error as error:
        raise DataError(f"{path}: not a gzip file ({reason(error)}); get it again") from error
    if len(content) > limit:
        raise DataError(f"{path}: decompresses to more than {limit:,} bytes, the limit for such a file; get it again")
    if not inflater.eof or inflater.unused_data:
        raise DataError(f"{path}: is cut short, or continues after its end; get it again")
    return content
