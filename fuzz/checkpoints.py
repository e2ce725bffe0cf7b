"""Mutants of PyTorch's checkpoints: other contents, other archives, and pickles that would run a command."""

from __future__ import annotations

import io
import math
import os
import pickle
import struct
import zipfile
import zlib
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor

from fuzz.raw import mutate_bytes
from fuzz.values import MARK, hostile_paths, odd_value, outside

BOMB = 2**29  # bytes that half a megabyte inflates to
PATHS = ("best_model_path", "kth_best_model_path", "last_model_path", "dirpath", "best_k_models")
DTYPES = (torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn)


def mutate_checkpoint(path: Path, rng: Random) -> str:
    """Change a checkpoint; say what."""
    chance = rng.random()
    if chance < 0.08:
        return mutate_bytes(path, rng)
    if chance < 0.2:
        return _payload(path, rng)
    if chance < 0.35:
        return _archive(path, rng)
    data = torch.load(path, weights_only=True)
    changes = [_paths if rng.random() < 0.35 else _content for _ in range(rng.choice((1, 1, 2)))]
    said = "; ".join(change(data, path.parent.parent, rng) for change in changes)
    torch.save(data, path, _use_new_zipfile_serialization=rng.random() < 0.95)
    return said


def _paths(data: Any, folder: Path, rng: Random) -> str:
    """Names of others' files where the run's own checkpoints were named."""
    callbacks = data.get("callbacks") if isinstance(data, dict) else None
    states = [
        state
        for state in (callbacks.values() if isinstance(callbacks, dict) else ())
        if isinstance(state, dict) and "dirpath" in state
    ]
    victim = rng.choice(hostile_paths(folder))
    for state in states:
        for name in PATHS[:1] if rng.random() < 0.5 else rng.sample(PATHS, rng.randint(1, len(PATHS))):
            state[name] = {victim: torch.tensor(-1.0)} if name == "best_k_models" else victim
        if rng.random() < 0.5:
            state["dirpath"] = str(folder / "checkpoints")
    return f"paths {victim:.60}"


def _content(data: Any, folder: Path, rng: Random) -> str:
    """One entry of the nested contents, whatever it is."""
    spots = _spots(data)
    if not spots:
        return "nothing left"
    holder, key = rng.choice(spots)
    value, how = holder[key], rng.choice(("odd", "drop", "tensor", "tensor", "path", "add", "large"))
    if how == "drop":
        del holder[key]
    elif how == "path":
        holder[key] = rng.choice(hostile_paths(folder))
    elif how == "add" and isinstance(holder, dict):
        holder[rng.choice(("x", 0, -1, 10**9, "model.x", (1, 2), None))] = odd_value(rng)
    elif how == "large":
        holder[key] = rng.choice((torch.zeros(1).expand(2**34), torch.zeros(2**18), [0.0] * 10_000, "x" * 10**6))
    elif how == "tensor":
        tensor = (
            value
            if isinstance(value, Tensor)
            else torch.tensor(float(value) if isinstance(value, int | float) else 0.0)
        )
        holder[key] = _tensor(tensor, rng)
    else:
        holder[key] = odd_value(rng)
    return f"{how} {key!s:.60}"


def _spots(data: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        found += [(data, key), *_spots(value)]
    return found


def _tensor(tensor: Tensor, rng: Random) -> Any:
    constant = rng.choice((math.nan, math.inf, 1e38, 0.0, -1.0))
    other = rng.choice(DTYPES)
    return rng.choice(
        (
            lambda: torch.full_like(tensor, constant, dtype=torch.float32),
            lambda: tensor.to(torch.float32).to(other),
            lambda: torch.zeros(*tensor.shape, 2),
            lambda: tensor.flatten()[:1].clone(),
            lambda: tensor.flatten()[:0].clone(),
            lambda: tensor.to_sparse() if tensor.is_floating_point() and tensor.ndim else tensor,
            lambda: torch.empty(tensor.shape, device="meta"),
            lambda: torch.nn.Parameter(tensor.float()),
            lambda: tensor.tolist(),
        )
    )()


class _Runs:
    """An object whose pickle would run a command if it were loaded without care."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, Any]:
        return self.call


def _payload(path: Path, rng: Random) -> str:
    """A pickle that leaves a file outside if it runs, as the whole, in the archive or among the contents."""
    marker = outside(path) / MARK
    code = f"open({str(marker)!r}, 'w')"
    evil = rng.choice(
        (
            _Runs(os.system, f"touch '{marker}'"),
            _Runs(exec, code),
            _Runs(eval, code),
            _Runs(open, str(marker), "w"),
            _Runs(os.mkdir, str(marker)),
            _Runs(torch.load, str(marker), None),
            _Runs(Path.touch, marker),
        )
    )
    how = rng.choice(("raw", "archive", "contents", "legacy"))
    if how == "raw":
        path.write_bytes(pickle.dumps(evil, rng.choice((0, 2, 4))))
    elif how == "archive":
        members = _members(path)
        name = next(name for name in members if name.endswith("data.pkl"))
        path.write_bytes(_zip({**members, name: pickle.dumps(evil, 2)}))
    else:
        data = torch.load(path, weights_only=True)
        data[rng.choice(("state_dict", "epoch", "callbacks", "more"))] = evil
        torch.save(data, path, _use_new_zipfile_serialization=how == "contents")
    return f"payload {how}"


def _archive(path: Path, rng: Random) -> str:
    """A zip file that lacks something, repeats it, lies about it, or inflates to far more."""
    members = _members(path)
    name, how = (
        rng.choice(sorted(members)),
        rng.choice(("drop", "empty", "bomb", "bomb", "huge size", "add", "rename", "cut")),
    )
    large = {}
    if how == "drop":
        del members[name]
    elif how == "empty":
        members[name] = b""
    elif how == "bomb":
        large = {name: bomb()}
    elif how == "huge size":
        large = {name: (members[name], zlib.crc32(members[name]), rng.choice((2**31, 2**32 - 2)))}
    elif how == "add":
        members[rng.choice(("../../../outside/MARKER", "/tmp/x", name + "x", ""))] = b"x"
    elif how == "rename":
        members[name + "x"] = members.pop(name)
    else:
        members[name] = members[name][: len(members[name]) // 2]
    path.write_bytes(_zip(members, large))
    return f"archive: {how} {name:.40}"


def _members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@cache
def bomb(size: int = BOMB) -> tuple[bytes, int, int]:
    """Zeros, deflated; their checksum and their number."""
    packer, block, crc = zlib.compressobj(9, zlib.DEFLATED, -15), bytes(2**20), 0
    start = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(size // 2**20):
        crc = zlib.crc32(block, crc)
    return start * (size // 2**20) + packer.flush(), crc, size


def _zip(members: dict[str, bytes], large: dict[str, tuple[bytes, int, int]] | None = None) -> bytes:
    """An archive as PyTorch writes it, stored, but for members that are deflated or whose size is a lie."""
    body, directory = b"", b""
    for name, plain in members.items():
        data, crc, size = (large or {}).get(name, (plain, zlib.crc32(plain), len(plain)))
        method = 8 if (large or {}).get(name) and data is not plain else 0
        about = struct.pack("<HHHHHIIIHH", 20, 0, method, 0, 0, crc, len(data), size, len(name.encode()), 0)
        directory += (
            b"PK\1\2" + struct.pack("<H", 20) + about + struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name.encode()
        )
        body += b"PK\3\4" + about + name.encode() + data
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(body), 0)
    return body + directory + b"PK\5\6" + end
