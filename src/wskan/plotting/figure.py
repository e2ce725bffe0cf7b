"""What all pictures need: matplotlib (the extra ``plot``), and a place on disk."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from wskan.errors import DataError
from wskan.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def require_matplotlib() -> None:
    """Raise a :class:`wskan.errors.DataError` that says what to do if there is no matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        raise DataError("pictures need matplotlib: pip install 'wskan[plot]'")


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches."""
    require_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG.

    Raises:
        DataError: it cannot be written.
    """
    write_atomically(path, lambda to: figure.savefig(to, dpi=150, format="png"))
