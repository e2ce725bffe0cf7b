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
    """Why something failed, in words on one line: for errors of the operating system without their number."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.splitlines()[0] if text else type(error).__name__
