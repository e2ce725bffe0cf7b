"""Plot the scores of a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from wskan.plotting.figure import new_figure, save_figure


def confusion(matrix: Tensor, names: Sequence[str], title: str, path: Path) -> None:
    """Plot a confusion matrix.

    Args:
        matrix: counts ``[n, n]``. Rows are true classes and columns are predicted classes.
        names: names of the classes.
        title: title of the figure.
        path: PNG file to write.
    """
    figure = new_figure(5.6, 5.2)
    axis = figure.subplots()
    axis.imshow((matrix / matrix.sum(1, keepdim=True).clamp_min(1)).numpy(), cmap="Blues", vmin=0, vmax=1)
    for i in range(len(names)):
        for j in range(len(names)):
            if matrix[i, j]:
                colour = "white" if float(matrix[i, j] / matrix[i].sum()) > 0.5 else "black"
                axis.text(j, i, str(int(matrix[i, j])), ha="center", va="center", fontsize=8, color=colour)
    axis.set_xticks(range(len(names)), names)
    axis.set_yticks(range(len(names)), names)
    axis.set_xlabel("predicted from the KAN's weights")
    axis.set_ylabel("class of the image")
    axis.set_title(title, fontsize=10)
    save_figure(figure, path)
