"""Reading what others wrote: files of a bounded size, JSON, and values that are checked by name."""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wskan.errors import DataError, reason

MAX_DEPTH = 32  # lists and objects within each other
DIGITS = 20  # of a whole number: more than 64 bits hold
CHUNK = 2**20
KINDS = {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}


def read_bytes(path: Path, limit: int, hint: str = "get it again") -> bytes:
    """Read a regular file, also through a link; never more than ``limit`` and one byte of it, whatever its size is said to be.

    Args:
        path: the file.
        limit: bytes that it may have.
        hint: what to do about a file that cannot be used.

    Raises:
        DataError: it is missing, larger, a folder, a pipe or a device, or may not be read.
    """
    parts, left = [], limit + 1
    try:
        _check_regular(os.stat(path), path, hint)  # opening a device may do something
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
            _check_regular(os.fstat(file.fileno()), path, hint)
            while left and (part := file.read(min(CHUNK, left))):
                parts.append(part)
                left -= len(part)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({reason(error)}); {hint}") from error
    if not left:
        raise DataError(f"{path}: has more than {limit:,} bytes, all that such a file may have; {hint}")
    return b"".join(parts)


def read_json(path: Path, limit: int, hint: str = "get it again", *, infinite: bool = False) -> Any:
    """Read a JSON file into plain types.

    Args:
        path, limit, hint: see :func:`read_bytes`.
        infinite: accept NaN and infinite numbers, which Python writes though JSON has none.

    Raises:
        DataError: as :func:`read_bytes`, and for what is not JSON, says a key twice, is nested deeper than anything wskan writes, or holds numbers of more
            than 64 bits or characters that cannot be written.
    """
    data = read_bytes(path, limit, hint)
    try:
        if data.count(b"{") + data.count(b"[") > 1000 + limit // 64:  # each takes many times its bytes in memory
            raise _Unfit("too many lists and objects")
        if data.count(b",") > 1000 + limit // 64:  # so does a number or a short text
            raise _Unfit("too many values")
        text = data.decode()
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=float if infinite else _finite,
            parse_constant=float if infinite else _finite,
        )
        if _too_deep(value, MAX_DEPTH):
            raise _Unfit(f"nested deeper than {MAX_DEPTH}")
        if re.search(r"\\u[dD][89a-fA-F]", text):
            json.dumps(value, ensure_ascii=False).encode()  # half of a pair cannot be written
    except RecursionError as error:
        raise DataError(f"{path}: not JSON that wskan reads (nested deeper than {MAX_DEPTH}); {hint}") from error
    except ValueError as error:
        raise DataError(f"{path}: not JSON that wskan reads ({reason(error)}); {hint}") from error
    return value


class _Unfit(ValueError):
    """What is wrong with a text that may well be JSON."""


def _check_regular(status: os.stat_result, path: Path, hint: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{path}: is not a regular file; {hint}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Unfit(f"says {shown(next(name for name in names if names.count(name) > 1))} twice")
    return result


def _integer(text: str) -> int:
    if len(text) > DIGITS:
        raise _Unfit(f"a number of {len(text):,} digits")
    return int(text)


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise _Unfit(f"the number {text:.20}")
    return value


def _too_deep(value: Any, left: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return left < 0 or any(_too_deep(part, left - 1) for part in inside if isinstance(part, dict | list))


def check(value: Any, shape: Any, name: str) -> None:
    """Compare a value of a file with what it must look like.

    Args:
        value: plain types, as :func:`read_json` gives them.
        shape: ``float`` (any number), ``int``, ``str`` or ``bool``; ``[shape]`` for a list of any length, ``(shape, shape)`` for one of just these; ``{"key": shape}``
            for an object with just these keys, with ``str: shape`` among them with any others; ``object`` for anything.
        name: of the value, and of its file.

    Raises:
        DataError: naming what differs.
    """
    if isinstance(shape, dict):
        for key in (key for key in shape if isinstance(key, str) and key not in mapping(value, name)):
            raise DataError(f"{name} lacks {key}")
        for key, part in mapping(value, name).items():
            if (own := shape.get(key, shape.get(str))) is None:
                raise DataError(f"{name} must have no {shown(key)}")
            check(part, own, f"{name}.{key if key.isprintable() else shown(key):.50}")
    elif isinstance(shape, list | tuple):
        if not isinstance(value, list) or (isinstance(shape, tuple) and len(value) != len(shape)):
            raise DataError(
                f"{name} must be a list{f' of {len(shape)}' * isinstance(shape, tuple)}, got {shown(value)}"
            )
        for index, part in enumerate(value):
            check(part, shape[index if isinstance(shape, tuple) else 0], f"{name}[{index}]")
    else:
        kinds = int | float if shape is float else shape
        if not isinstance(value, kinds) or (isinstance(value, bool) and shape in (int, float)):
            raise DataError(f"{name} must be {KINDS[shape]}, got {shown(value)}")


def shown(value: object) -> str:
    """A value as messages show it: on one line, and not for ever."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, a list that holds itself
        text = f"a {type(value).__name__} too long to show"
    return text if len(text) <= 100 else f"{text[:97]}..."


def whole(value: Any, name: str, low: int, high: int) -> int:
    """A whole number in a range; ``name`` says of what, and in which file.

    Raises:
        DataError: it is none.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise DataError(f"{name} must be a whole number from {low:,} to {high:,}, got {shown(value)}")
    return value


def number(value: Any, name: str, low: float, high: float) -> float:
    """A number in a range, which no NaN is.

    Raises:
        DataError: it is none.
    """
    huge = isinstance(value, int) and value.bit_length() > 1000  # too large for a float
    if not isinstance(value, int | float) or isinstance(value, bool) or huge or not low <= value <= high:
        raise DataError(f"{name} must be a number from {low:g} to {high:g}, got {shown(value)}")
    return value


def boolean(value: Any, name: str) -> bool:
    """True or false, and no number that counts as either.

    Raises:
        DataError: it is neither.
    """
    if not isinstance(value, bool):
        raise DataError(f"{name} must be true or false, got {shown(value)}")
    return value


def text(value: Any, name: str, limit: int = 200) -> str:
    """A text of one line.

    Raises:
        DataError: it is none, or longer than ``limit``, or holds control characters.
    """
    if not isinstance(value, str) or len(value) > limit or not value.isprintable():
        raise DataError(f"{name} must be a text of up to {limit:,} printable characters, got {shown(value)}")
    return value


def mapping(value: Any, name: str, keys: set[str] | None = None) -> Mapping[str, Any]:
    """An object, with exactly these keys if any are given.

    Raises:
        DataError: it is none, or has others.
    """
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise DataError(f"{name} must be an object, got {shown(value)}")
    if keys is not None and set(value) != keys:
        raise DataError(f"{name} must have exactly the keys {', '.join(sorted(keys))}, got {shown(sorted(value))}")
    return value
