"""Create and save figures with matplotlib (the extra ``plot``)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from wskan.errors import DataError
from wskan.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def require_matplotlib() -> None:
    """Raise if matplotlib is not installed.

    Raises:
        DataError: The message contains the command that installs it.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise DataError("pictures need matplotlib: pip install 'wskan[plot]'")


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure.

    Args:
        width, height: size in inches.

    Raises:
        DataError: matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG.

    Raises:
        DataError: The file cannot be written.
    """
    write_atomically(path, lambda to: figure.savefig(to, dpi=150, format="png"))
