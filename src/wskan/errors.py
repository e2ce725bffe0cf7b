"""Every error wskan raises on purpose. Each message says what was wrong and what to do."""

from __future__ import annotations


class WSKANError(Exception):
    """Base class, so that one ``except`` catches everything wskan raises on purpose."""


class DataError(WSKANError, ValueError):
    """A file or a tensor from outside is missing, malformed, oversized or not finite."""


class ShapeError(WSKANError, ValueError):
    """A tensor does not have the shape its specification asks for."""


class DivergedError(WSKANError, RuntimeError):
    """KANs that still diverge after every retry with a new seed, or a model whose training ended in NaN."""


def reason(error: BaseException) -> str:
    """Say why something failed, in printable words on one short line: for errors of the operating system without their number."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    line = text.splitlines()[0] if text.strip() else type(error).__name__
    line = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in line[:300]
    )
    return line if len(line) <= 300 else f"{line[:297]}..."
