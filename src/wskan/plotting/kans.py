"""Plot the signals that KANs represent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from wskan.plotting.figure import new_figure, save_figure


def reconstructions(original: Tensor, reconstruction: Tensor, psnr: Tensor, path: Path) -> None:
    """Plot images above the images that their KANs represent.

    Args:
        original, reconstruction: ``[n, H, W, C]`` in [0, 1].
        psnr: PSNR of each reconstruction in dB, ``[n]``.
        path: PNG file to write.
    """
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
    figure.suptitle("Images, and the same images as represented by KANs", fontsize=10)
    save_figure(figure, path)


def interpolation(
    t: Tensor, psnr: Mapping[str, Tensor], images: Mapping[str, Tensor], shown: Tensor, title: str, path: Path
) -> None:
    """Plot PSNR along lines between two KANs, next to the images that some KANs on them represent.

    Args:
        t: ``[T]`` from 0 (the first KAN) to 1 (the second).
        psnr: PSNR along each line, ``[T]`` in dB.
        images: images on each line, ``[n, H, W, C]`` in [0, 1].
        shown: the t of each image, ``[n]``.
        title: title of the figure.
        path: PNG file to write.
    """
    figure = new_figure(9.6, 3.2)
    columns = len(shown)
    layout = figure.add_gridspec(len(images), 2 * columns)
    axis = figure.add_subplot(layout[:, :columns])
    colours = ("#999999", "#1f5fa8")
    for (name, values), colour in zip(psnr.items(), colours, strict=True):
        axis.plot(t.numpy(), values.numpy(), color=colour, label=name)
    axis.set_xlabel("t, from KAN A (0) to KAN B (1)")
    axis.set_ylabel("PSNR, dB")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, loc="upper center")
    for row, (name, pictures) in enumerate(images.items()):
        for column, picture in enumerate(pictures):
            axis = figure.add_subplot(layout[row, columns + column])
            axis.imshow(picture.clamp(0, 1).squeeze(-1).numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
            if row == len(images) - 1:
                axis.set_xlabel(f"t = {float(shown[column]):.2g}", fontsize=8)
            if column == 0:
                axis.set_ylabel(name, fontsize=8)
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path)
