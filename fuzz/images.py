"""Mutants of data sets of images: IDX as MNIST's, gzipped or not, and CIFAR-10's batches."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from random import Random

from fuzz.checkpoints import bomb
from fuzz.raw import mutate_bytes

COUNTS = (0, 1, 19, 21, 60_000, 999_999, 1_000_000, 1_000_001, 2**31, 2**32 - 1)
PACKS = ("gz bomb", "gz bomb", "gz cut", "gz wrong sum", "gz junk", "named .gz", "gz twice")
RECORD = 3_073


def mutate_idx(path: Path, rng: Random) -> str:
    """Change an IDX file, images or labels, and perhaps gzip it, well or badly."""
    if rng.random() < 0.1:
        return mutate_bytes(path, rng)
    data, how, pack = path.read_bytes(), "same", rng.choice(("gz", "plain"))
    if rng.random() < 0.3:
        pack = rng.choice(PACKS)
    else:
        how = rng.choice(("count", "count", "size", "magic", "cut", "more", "labels", "labels"))
    body = 4 + 4 * data[3]
    if how == "count":
        data = data[:4] + struct.pack(">I", rng.choice(COUNTS)) + data[8:]
    elif how == "size":
        at = rng.randrange(4, body)
        data = data[:at] + rng.randbytes(1) + data[at + 1 :]
    elif how == "magic":
        data = rng.choice((b"\0\0\x08\0", b"\0\0\x0d\3", b"\0\0\x08\1", b"\0\0\x08\3", b"\0\0\x08\xff")) + data[4:]
    elif how == "cut":
        data = data[: rng.randrange(len(data))]
    elif how == "more":
        data += bytes(rng.choice((1, 1_000, 2**20)))
    elif how == "labels":
        data = data[:body] + bytes(rng.choices(range(11 if rng.random() < 0.5 else 10), k=len(data) - body))
    if pack == "plain":
        path.write_bytes(data)
    else:
        path.unlink()
        path.with_name(f"{path.name}.gz").write_bytes(_packed(data, pack, rng))
    return f"idx: {how}, {pack}"


def million(folder: Path, rng: Random) -> str:
    """Images and labels that agree on far more of them than there are bytes on disk."""
    count = rng.choice((100_000, 1_000_000))
    for path in (*folder.glob("*-ubyte"), *folder.glob("*-ubyte.gz")):
        kind = "images" if "images" in path.name else "labels"
        path.unlink()
        shape = (count, 28, 28) if kind == "images" else (count,)
        header = struct.pack(">BBBB", 0, 0, 8, len(shape)) + struct.pack(f">{len(shape)}I", *shape)
        path.with_name(f"{path.name.removesuffix('.gz')}.gz").write_bytes(_packed(header, "gz bomb", rng))
    return f"{count:,} images of zeros behind gz"


def _packed(data: bytes, pack: str, rng: Random) -> bytes:
    packed = gzip.compress(data, mtime=0)
    if pack == "gz bomb":  # two members: what there was, then zeros
        inflated, crc, size = bomb(2**30)
        tail = struct.pack("<II", crc, size & 0xFFFFFFFF)
        return packed + b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + inflated + tail
    if pack == "gz cut":
        return packed[: rng.randrange(len(packed))]
    if pack == "gz wrong sum":
        return packed[:-8] + rng.randbytes(8)
    if pack == "gz junk":
        return packed + rng.randbytes(20)
    if pack == "gz twice":
        return gzip.compress(packed, mtime=0)
    return data if pack == "named .gz" else packed


def mutate_cifar(path: Path, rng: Random) -> str:
    """Change a batch of CIFAR-10."""
    if rng.random() < 0.1:
        return mutate_bytes(path, rng)
    data, how = path.read_bytes(), rng.choice(("records", "size", "label", "noise", "many", "gz", "bomb"))
    if how == "records":
        data = data[: RECORD * rng.choice((0, 1, 2))]
    elif how == "size":
        data = data[: rng.randrange(len(data))] if rng.random() < 0.5 else data + bytes(rng.choice((1, RECORD, 10**6)))
    elif how == "label":
        data = bytes([rng.choice((10, 255, 9))]) + data[1:]
    elif how == "noise":
        data = rng.randbytes(len(data))
    elif how == "many":
        data = bytes(RECORD) * rng.choice((10_000, 10_001))
    if how in ("gz", "bomb"):
        path.unlink()
        path.with_name(f"{path.name}.gz").write_bytes(_packed(data, rng.choice(("gz", "gz cut", "gz bomb")), rng))
    else:
        path.write_bytes(data)
    return f"cifar: {how}"
