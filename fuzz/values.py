"""Values that no honest file holds, shared by the mutators."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

NESTED = 100_000
MARK = "MARKER"  # a payload that ran would leave a file of this name outside
STRINGS = (
    "",
    "[/x]",
    "[bold red]x[/bold red] [link=file:///etc]y[/link]",
    "\x1b[2J\x1b]0;title\x07\x1b[31m",
    "two\nlines\r\nand three",
    "\x00",
    "\ud800",
    "\u202eright to left",
    "é" * 300,
    "x" * 200_000,
    "nan",
    "1e999",
    "../../outside/victim",
    "/dev/zero",
    "__class__",
    "{0.__class__}%s%n",
)
NUMBERS = (0, -1, 1, 2, 7, 2**31, 2**63, 2**64, -(2**63), 10**400, -(10**400), 0.5, -0.0, 1e-320, 1e38, 1e308, -1e308)
RAW = ("NaN", "Infinity", "-Infinity", "1e999", "[" * NESTED, '{"a":' * NESTED, "9" * 5_000, "[1,", "'x'", "\\", "nul")


def odd_string(rng: Random) -> str:
    """A string that printers, paths or encodings trip over."""
    return rng.choice(STRINGS)


def odd_value(rng: Random) -> object:
    """A JSON value of any type."""
    kind = rng.randrange(8)
    if kind < 3:
        return rng.choice(NUMBERS)
    if kind < 5:
        return odd_string(rng)
    return rng.choice((None, True, False, [], {}, [[]], [None], {"a": 1}, [1, 2, 3], ["a"], [0.5] * 1_000, {"": {}}))


def outside(path: Path) -> Path:
    """Return the folder that nobody may touch, next to the one that a mutant lies in."""
    return next(folder / "outside" for folder in path.parents if (folder / "outside").is_dir())


def hostile_paths(folder: Path) -> tuple[str, ...]:
    """Names of files and folders outside ``folder``, in the spellings that a careless check lets pass."""
    there = outside(folder)
    victims = [str(there / name) for name in ("victim", "victims")]
    relative = [os.path.relpath(victim, folder / "checkpoints") for victim in victims]
    climbing = [f"{folder}/checkpoints/{name}" for name in relative]
    schemes = [f"{scheme}{victim}" for scheme in ("local://", "file://") for victim in victims]
    return (*victims, *relative, *climbing, *schemes, "http://127.0.0.1:9/x", "C:\\x", str(there), "/dev/full", ".")
