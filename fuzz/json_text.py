"""Mutants of JSON: by its structure where it has one, by its text where that is the point."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from fuzz.raw import mutate_bytes
from fuzz.values import RAW, hostile_paths, odd_string, odd_value

Spot = tuple[Any, Any]  # a container and the key or index of something in it


def mutate_json(path: Path, rng: Random, part: str | None = None) -> str:
    """Change one to three things in a JSON file, or only in the value of its key ``part``; say what."""
    data = json.loads(path.read_text())
    if rng.random() < 0.1:
        said = mutate_bytes(path, rng)
    else:
        raw: dict[str, str] = {}
        root = {part: data[part]} if part else data
        said = "; ".join(_mutate(root, raw, rng, path.parent) for _ in range(rng.choice((1, 1, 1, 2, 3))))
        if part:
            data.pop(part)
            data |= root
        text = json.dumps(data, indent=1)
        for mark, written in raw.items():
            text = text.replace(json.dumps(mark), written)
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return said


def _spots(data: Any) -> list[Spot]:
    found: list[Spot] = []
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        found += [(data, key), *_spots(value)]
    return found


def _mutate(data: Any, raw: dict[str, str], rng: Random, folder: Path) -> str:
    spots = _spots(data)
    if not spots:
        return "nothing left"
    holder, key = rng.choice(spots)
    change = rng.choice(CHANGES)
    change(holder, key, rng, raw) if change is not _path else _path(holder, key, rng, raw, folder)
    return f"{change.__name__.strip('_')} {key!s:.40}"


def _written(raw: dict[str, str], text: str) -> str:
    """A string that stands for text which no JSON value gives."""
    mark = f"@raw{len(raw)}@"
    raw[mark] = text
    return mark


def _replace(holder: Any, key: Any, rng: Random, raw: dict[str, str]) -> None:
    holder[key] = odd_value(rng)


def _literal(holder: Any, key: Any, rng: Random, raw: dict[str, str]) -> None:
    holder[key] = _written(raw, rng.choice(RAW))


def _nest(holder: Any, key: Any, rng: Random, raw: dict[str, str]) -> None:
    depth = rng.choice((10, 500, 100_000))
    holder[key] = _written(raw, "[" * depth + "]" * depth)


def _drop(holder: Any, key: Any, rng: Random, raw: dict[str, str]) -> None:
    del holder[key]


def _twice(holder: Any, key: Any, rng: Random, raw: dict[str, str]) -> None:
    first, second = json.dumps(odd_value(rng)), json.dumps(holder[key])
    holder[key] = _written(raw, f"{first}, {json.dumps(key)}: {second}" if isinstance(holder, dict) else first)


def _add(holder: Any, key: Any, rng: Random, raw: dict[str, str]) -> None:
    if isinstance(holder, list):
        holder.insert(key, odd_value(rng))
    else:
        holder[odd_string(rng)] = odd_value(rng)


def _rename(holder: Any, key: Any, rng: Random, raw: dict[str, str]) -> None:
    if isinstance(holder, dict):
        holder[odd_string(rng)] = holder.pop(key)
    else:
        holder[key] = {"was": holder[key]}


def _nudge(holder: Any, key: Any, rng: Random, raw: dict[str, str]) -> None:
    """A value of the same type, only another one."""
    value = holder[key]
    if isinstance(value, bool):
        holder[key] = rng.choice((not value, int(value)))
    elif isinstance(value, int | float):
        near = [-value, value + 1, value * 1_000, str(value), value - 1]
        with contextlib.suppress(OverflowError):  # a whole number that no float holds
            near[3:3] = [float(value), value / 3]
        holder[key] = rng.choice(near)
    elif isinstance(value, str):
        holder[key] = rng.choice((value + odd_string(rng), value[::-1], value.upper(), value[:1], odd_string(rng)))
    elif isinstance(value, list):
        holder[key] = rng.choice((value[::-1], value * 2, value[:-1], value * 3_000 if len(value) < 10 else value[:1]))
    else:
        holder[key] = rng.choice((None, [value], list(value or {}), {}))


def _swap(holder: Any, key: Any, rng: Random, raw: dict[str, str]) -> None:
    other = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    holder[key], holder[other] = holder[other], holder[key]


def _wrap(holder: Any, key: Any, rng: Random, raw: dict[str, str]) -> None:
    holder[key] = rng.choice(([copy.deepcopy(holder[key])], {"x": copy.deepcopy(holder[key])}, [holder[key]] * 2))


def _path(holder: Any, key: Any, rng: Random, raw: dict[str, str], folder: Path) -> None:
    holder[key] = rng.choice(hostile_paths(folder))


CHANGES: tuple[Callable[..., None], ...] = (
    *(_replace, _replace, _replace, _literal, _nudge, _nudge, _nudge),
    *(_nest, _drop, _twice, _add, _rename, _swap, _wrap, _path),
)
