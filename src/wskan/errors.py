"""The errors that wskan raises on purpose. Each message says what was wrong and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class WSKANError(Exception):
    """The base class: one ``except`` catches everything that wskan raises on purpose."""


class DataError(WSKANError, ValueError):
    """An external file or tensor is missing, malformed, too large or not finite."""


class ShapeError(WSKANError, ValueError):
    """A tensor does not have the shape that its specification requires."""


class DivergedError(WSKANError, RuntimeError):
    """KANs diverged with every seed, or the training of a model ended in NaN."""


def reason(error: BaseException) -> str:
    """Return why something failed, in printable characters on one short line, without error numbers."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    line = text.splitlines()[0] if text.strip() else type(error).__name__
    line = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in line[:300]
    )
    return line if len(line) <= 300 else f"{line[:297]}..."


def did_you_mean(name: object, names: Iterable[str]) -> str:
    """Return a question that names the most similar of some names, or nothing if none is similar.

    Example:
        >>> did_you_mean("hiden", ["hidden", "dropout"])
        " (did you mean 'hidden'?)"
    """
    similar = difflib.get_close_matches(str(name)[:100], list(names), n=1)
    return f" (did you mean {similar[0]!r}?)" if similar else ""
