"""Read untrusted input: files of a bounded size, JSON, and values that are checked by name."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from wskan.errors import DataError, reason

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

MAX_DEPTH = 32  # nested lists and objects
DIGITS = 20  # of a whole number: more than fit in 64 bits
CHUNK = 2**20
KINDS = {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}


def read_bytes(path: Path, limit: int, hint: str = "get it again") -> bytes:
    """Read a regular file, or one that a link points to; never more than ``limit`` bytes and one.

    Args:
        path: the file.
        limit: maximum number of bytes, whatever size the system reports.
        hint: what to do about an unusable file, for the message.

    Raises:
        DataError: the file is missing, too large, a folder, a pipe or a device, or cannot be read.
    """
    parts, left = [], limit + 1
    try:
        _check_regular(os.stat(path), path, hint)  # opening a device may have side effects
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
            _check_regular(os.fstat(file.fileno()), path, hint)
            while left and (part := file.read(min(CHUNK, left))):
                parts.append(part)
                left -= len(part)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({reason(error)}); {hint}") from error
    if not left:
        raise DataError(f"{path}: has more than {limit:,} bytes, the limit for such a file; {hint}")
    return b"".join(parts)


def read_json(path: Path, limit: int, hint: str = "get it again", *, infinite: bool = False) -> Any:
    """Read a JSON file into plain types.

    Args:
        path, limit, hint: see :func:`read_bytes`.
        infinite: accept NaN and infinite numbers, which are not JSON but written by Python.

    Raises:
        DataError: the file cannot be read (:func:`read_bytes`), is not JSON, repeats a key or is nested too deeply.
            The same holds for numbers of more than 64 bits and for characters that cannot be written.
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
            json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair cannot be written
    except RecursionError as error:
        raise DataError(f"{path}: not JSON that wskan reads (nested deeper than {MAX_DEPTH}); {hint}") from error
    except ValueError as error:
        raise DataError(f"{path}: not JSON that wskan reads ({reason(error)}); {hint}") from error
    return value


class _Unfit(ValueError):
    """A problem with a text that may be valid JSON."""


def _check_regular(status: os.stat_result, path: Path, hint: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{path}: is not a regular file; {hint}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Unfit(f"has the key {shown(next(name for name in names if names.count(name) > 1))} twice")
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
    """Raise unless a value has the given shape.

    A shape is one of:

    - ``float`` (any number), ``int``, ``str``, ``bool``, or ``object`` for anything;
    - ``[shape]`` for a list of any length, ``(shape, shape)`` for a list of exactly these;
    - ``{"key": shape}`` for an object with exactly these keys; with ``str: shape`` also any others.

    Args:
        value: plain types, as :func:`read_json` returns them.
        shape: the shape.
        name: the value and its file, for the message.

    Raises:
        DataError: the value differs. The message says where.
    """
    if isinstance(shape, dict):
        for key in (key for key in shape if isinstance(key, str) and key not in mapping(value, name)):
            raise DataError(f"{name} lacks {key}")
        for key, part in mapping(value, name).items():
            if (own := shape.get(key, shape.get(str))) is None:
                raise DataError(f"{name} must not have {shown(key)}")
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
    """Format a value for a message: on one line of at most 100 characters."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, a list that holds itself
        text = f"a {type(value).__name__} too long to show"
    return text if len(text) <= 100 else f"{text[:97]}..."


def whole(value: Any, name: str, low: int, high: int) -> int:
    """Return a whole number in a range, or raise; ``name`` says what it is, and in which file.

    Raises:
        DataError: it is not a whole number from ``low`` to ``high``.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise DataError(f"{name} must be a whole number from {low:,} to {high:,}, got {shown(value)}")
    return value


def number(value: Any, name: str, low: float, high: float) -> float:
    """Return a number in a range, or raise. NaN is never in it.

    Raises:
        DataError: it is not a number from ``low`` to ``high``.
    """
    huge = isinstance(value, int) and value.bit_length() > 1000  # too large for a float
    if not isinstance(value, int | float) or isinstance(value, bool) or huge or not low <= value <= high:
        raise DataError(f"{name} must be a number from {low:g} to {high:g}, got {shown(value)}")
    return value


def boolean(value: Any, name: str) -> bool:
    """Return True or False, or raise; 0 and 1 do not count.

    Raises:
        DataError: it is neither.
    """
    if not isinstance(value, bool):
        raise DataError(f"{name} must be true or false, got {shown(value)}")
    return value


def text(value: Any, name: str, limit: int = 200) -> str:
    """Return a text of one line, or raise.

    Raises:
        DataError: it is not a text, is longer than ``limit``, or contains control characters.
    """
    if not isinstance(value, str) or len(value) > limit or not value.isprintable():
        raise DataError(f"{name} must be a text of up to {limit:,} printable characters, got {shown(value)}")
    return value


def mapping(value: Any, name: str, keys: set[str] | None = None) -> Mapping[str, Any]:
    """Return an object, or raise; with ``keys``, it must have exactly these.

    Raises:
        DataError: it is not an object, or has other keys.
    """
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise DataError(f"{name} must be an object, got {shown(value)}")
    if keys is not None and set(value) != keys:
        raise DataError(f"{name} must have exactly the keys {', '.join(sorted(keys))}, got {shown(sorted(value))}")
    return value


def build(cls: type[T], data: Any, name: str, **changes: Any) -> T:
    """Build a dataclass from a JSON object whose keys are names of its fields.

    Args:
        cls: the dataclass; it checks the values.
        data: the object.
        name: name in messages.
        changes: values that replace those of the object.

    Raises:
        DataError: ``data`` is not an object, or has unknown or missing keys.
    """
    names = {field.name for field in dataclasses.fields(cls)}
    if not isinstance(data, Mapping) or not set(data) <= names:
        raise DataError(f"{name} must be an object with any of {sorted(names)}, got {shown(data)}")
    try:
        return cls(**{**data, **changes})
    except TypeError as error:
        raise DataError(f"malformed {name} {shown(data)}: {reason(error)}") from error
