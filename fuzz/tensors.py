"""Mutants of safetensors: valid files of other tensors, and files whose header lies."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from fuzz.raw import mutate_bytes
from fuzz.values import odd_string, odd_value

BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 8),
}
NUMPY = {"F32": "<f4", "F64": "<f8", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "U8": "u1"}
CONSTANTS = (0.0, 1.0, -1.0, 2.0, 0.5, math.nan, math.inf, -math.inf, 1e38, -3e38, 1e-45, 6e4, 1e6)
Tensors = dict[str, list[Any]]  # name: dtype, shape, bytes


def mutate_safetensors(path: Path, rng: Random, *, whole: bool = False) -> str:
    """Change a safetensors file; ``whole`` leaves it one that safetensors itself can read."""
    if not whole and rng.random() < 0.1:
        return mutate_bytes(path, rng)
    tensors = _read(path)
    said = [_change(tensors, rng) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
    data = _write(tensors)
    if not whole and rng.random() < 0.25:
        data, lie = _lie(data, rng)
        said.append(lie)
    path.write_bytes(data)
    return "; ".join(said)


def _read(path: Path) -> Tensors:
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
    return {
        name: [entry["dtype"], entry["shape"], body[slice(*entry["data_offsets"])]] for name, entry in entries.items()
    }


def _write(tensors: Tensors) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def _change(tensors: Tensors, rng: Random) -> str:
    if not tensors:
        return "no tensors"
    name = rng.choice(sorted(tensors))
    change = rng.choice((_values, _values, _values, _values, _dtype, _dtype, _shape, _shape, _names, _names))
    return f"{name}: {change(tensors, name, rng)}"


def _values(tensors: Tensors, name: str, rng: Random) -> str:
    """Other numbers in the same dtype and shape."""
    dtype, _, data = tensors[name]
    how = rng.choice(("all", "one", "one", "reversed", "scaled", "noise", "shuffled"))
    if how == "noise" or dtype not in NUMPY:
        tensors[name][2] = rng.randbytes(len(data))
        return "random bytes"
    array = np.frombuffer(data, NUMPY[dtype]).copy()
    constant = rng.choice(CONSTANTS)
    with np.errstate(all="ignore"):
        value = np.array(constant).astype(array.dtype)
        if how == "all":
            array[:] = value
        elif how == "one" and len(array):
            array[rng.randrange(len(array))] = value
        elif how == "reversed":
            array = array[::-1].copy()
        elif how == "scaled":
            array = (array * value).astype(array.dtype)
        elif how == "shuffled":
            array = array[np.array(rng.sample(range(len(array)), len(array)), dtype=int)]
    tensors[name][2] = array.tobytes()
    return f"{how} {constant:g}"


def _dtype(tensors: Tensors, name: str, rng: Random) -> str:
    """The same shape in another dtype, of one tensor or of all."""
    dtype, every = rng.choice(sorted(BYTES)), rng.random() < 0.3
    for each in tensors if every else [name]:
        old, shape, data = tensors[each]
        if old in NUMPY and dtype in NUMPY:
            with np.errstate(all="ignore"):
                data = np.frombuffer(data, NUMPY[old]).astype(NUMPY[dtype]).tobytes()
        size = math.prod(shape) * BYTES[dtype]
        data = (data + rng.randbytes(max(0, size - len(data))))[:size]
        tensors[each] = [dtype, shape, data]
    return f"{'all ' if every else ''}as {dtype}"


def _shape(tensors: Tensors, name: str, rng: Random) -> str:
    """Another shape, with as many bytes as it needs."""
    dtype, shape, data = tensors[name]
    axis = rng.randrange(len(shape)) if shape else 0
    new = rng.choice(
        (
            shape[::-1],
            [*shape, 1],
            [1, *shape],
            shape[1:],
            shape[:-1],
            [],
            [0, *shape[1:]],
            [n + (i == axis) for i, n in enumerate(shape)],
            [n - (i == axis) for i, n in enumerate(shape)],
            [math.prod(shape)],
            [*shape[:-1], 0],
            [1] * 70,
            [1_000, *shape[1:]],
        )
    )
    size = math.prod(new) * BYTES[dtype]
    tensors[name] = [dtype, new, (data * (size // max(1, len(data)) + 1))[:size].ljust(size, b"\0")]
    return f"shape {new!s:.40}"


def _names(tensors: Tensors, name: str, rng: Random) -> str:
    """A tensor less, more, or under another name."""
    how, other = (
        rng.choice(("drop", "add", "rename", "swap", "clear")),
        odd_string(rng).encode("utf-8", "replace").decode(),
    )
    if how == "drop":
        del tensors[name]
    elif how == "add":
        near = rng.choice((other, f"{name}.more", name.replace("0", "9"), name.replace("0", "-1"), "layers.0.knots"))
        tensors.setdefault(near, list(tensors[name]))
    elif how == "rename":
        tensors[other] = tensors.pop(name)
    elif how == "swap":
        with_ = rng.choice(sorted(tensors))
        tensors[name], tensors[with_] = tensors[with_], tensors[name]
    elif rng.random() < 0.1:
        tensors.clear()
    return how


def _lie(data: bytes, rng: Random) -> tuple[bytes, str]:
    """A header that is not true of the file."""
    size = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    names = [name for name in header if name != "__metadata__"]
    how = rng.choice(("length", "offsets", "overlap", "huge shape", "value", "metadata", "text", "body"))
    if how == "length":
        return struct.pack("<Q", rng.choice((0, 1, size - 1, size + 1, 10**8, 2**63, 2**64 - 1))) + data[8:], how
    if how == "text":
        text = rng.choice((b"[" * 100_000, b"{}", b"null", b'{"a":{}}', b'{"a":1,"a":2}', b" " * 50, b"\xff" * 9))
        return struct.pack("<Q", len(text)) + text + body, how
    if how == "body":
        return data[: rng.randrange(len(data) + 1)] if rng.random() < 0.5 else data + b"\0" * 1_000, how
    if how == "metadata":
        header["__metadata__"] = rng.choice((odd_value(rng), {"a": odd_value(rng)}, {"format": "tf"}))
    elif names:
        entry = header[rng.choice(names)]
        if how == "offsets":
            entry["data_offsets"] = rng.choice(
                ([0, 0], [5, 3], [-1, 4], [0, 2**63], [0], "0", [2**64, 2**64], [0, len(body)])
            )
        elif how == "overlap":
            entry["data_offsets"] = header[rng.choice(names)]["data_offsets"]
        elif how == "huge shape":
            entry["shape"] = rng.choice(([2**31, 2**31], [2**62, 4], [2**63], [2**64], [-1], [2**40, 0], [1.5]))
        else:
            entry[rng.choice(("dtype", "shape", "data_offsets", "more"))] = odd_value(rng)
    text = json.dumps(header).encode("utf-8", "replace")
    return struct.pack("<Q", len(text)) + text + body, how
