"""Mutants of any file: of its bytes, and of what lies at its place in the file system."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from random import Random

SPARSE = 2**32


def mutate_bytes(path: Path, rng: Random) -> str:
    """Cut, flip, repeat or replace bytes."""
    data = bytearray(path.read_bytes())
    place = rng.randrange(len(data) + 1)
    how = rng.choice(("cut", "flip", "flip", "insert", "repeat", "append", "zero", "replace"))
    if how == "cut":
        del data[place:]
    elif how == "flip":
        for _ in range(rng.choice((1, 1, 3, 30))):
            if data:
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif how == "insert":
        data[place:place] = rng.randbytes(rng.choice((1, 8, 1_000)))
    elif how == "repeat":
        data[place:place] = data[:place]
    elif how == "append":
        data += rng.choice((b"\n", b"\0" * 4_096, b"}", rng.randbytes(100)))
    elif how == "zero":
        end = min(len(data), place + rng.choice((1, 16, 512)))
        data[place:end] = bytes(end - place)
    else:
        data = bytearray(
            rng.choice((b"", b"null", b"[]", b"\xff\xfe{}", b"\xef\xbb\xbf{}", b"\x1f\x8b", b"PK\x03\x04", b"\0" * 64))
        )
    path.write_bytes(data)
    return f"bytes: {how}"


def odd_file(path: Path, rng: Random) -> str:
    """Something else than a regular file of reasonable size in its place."""
    how = rng.choice(
        ("absent", "folder", "empty", "/dev/zero", "FIFO", "dangling link", "loop", "sparse", "socket", "sparse link")
    )
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    if how == "folder":
        path.mkdir()
    elif how == "empty":
        path.touch()
    elif how == "/dev/zero":
        path.symlink_to("/dev/zero")
    elif how == "FIFO":
        os.mkfifo(path)
    elif how == "dangling link":
        path.symlink_to("nowhere")
    elif how == "loop":
        path.symlink_to(path.name)
    elif how == "sparse":
        _sparse(path)
    elif how == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.relpath(path))  # absolute names may be too long
    elif how == "sparse link":
        _sparse(path.with_name("large"))
        path.symlink_to("large")
    return f"in its place: {how}"


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(SPARSE)
