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
