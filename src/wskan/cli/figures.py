"""Pictures; they need matplotlib (the extra ``plot``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from wskan.pictures import new_figure, save_figure


def reconstructions(original: Tensor, reconstruction: Tensor, psnr: Tensor, path: Path) -> None:
    """Original images above those that their KANs represent, ``[n, H, W, C]`` each, with the PSNR ``[n]`` of each in dB."""
    count = len(original)
    figure = new_figure(1.1 * count, 2.7)
    axes = figure.subplots(2, count, squeeze=False)
    for row, images in enumerate((original, reconstruction)):
        for column in range(count):
            axis = axes[row][column]
            axis.imshow(
                images[column].clamp(0, 1).squeeze(-1).numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest"
            )
            axis.set_xticks([])
            axis.set_yticks([])
            if row == 1:
                axis.set_xlabel(f"{float(psnr[column]):.0f} dB", fontsize=8)
    axes[0][0].set_ylabel("image")
    axes[1][0].set_ylabel("its KAN")
    figure.suptitle("Images, and what the KANs trained on them represent", fontsize=10)
    save_figure(figure, path)


def confusion(matrix: Tensor, names: Sequence[str], title: str, path: Path) -> None:
    """A confusion matrix ``[n, n]`` of counts; rows are true classes, columns predicted ones."""
    figure = new_figure(5.6, 5.2)
    axis = figure.subplots()
    axis.imshow((matrix / matrix.sum(1, keepdim=True).clamp_min(1)).numpy(), cmap="Blues", vmin=0, vmax=1)
    for i in range(len(names)):
        for j in range(len(names)):
            if matrix[i, j]:
                share = float(matrix[i, j] / matrix[i].sum())
                axis.text(
                    j,
                    i,
                    str(int(matrix[i, j])),
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if share > 0.5 else "black",
                )
    axis.set_xticks(range(len(names)), names)
    axis.set_yticks(range(len(names)), names)
    axis.set_xlabel("predicted from the KAN's weights")
    axis.set_ylabel("class of the image")
    axis.set_title(title, fontsize=10)
    save_figure(figure, path)
