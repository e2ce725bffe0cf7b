"""Targets of implicit neural representations: images or waves."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor

from wskan.errors import DataError
from wskan.kan import FitResult, Population
from wskan.signals import Images, Waves, coordinates, load_images, psnr, sine_waves
from wskan.signals.waves import SIDE
from wskan.zoo.recipe import Recipe
from wskan.zoo.storage import SPLITS, files_of, pick_images


@dataclasses.dataclass(frozen=True)
class Signals:
    """Signals for all KANs of a recipe, in the order of the zoo: training, validation, test.

    Attributes:
        inputs: coordinates, ``[P, in]``, the same for all KANs.
        split: split of each KAN, ``[n]`` int64, index into ``SPLITS``.
        source: index of the image in its split of the data set, or of the wave, ``[n]`` int64.
        labels: columns of the zoo with the label or the frequencies of each signal.
        peak: range of the signal, for the PSNR.
        shape: shape of a signal, ``(H, W, C)``.
        note: what is unusual about the data; empty if nothing is.
        files: checksums of the data files for the manifest; see :func:`wskan.zoo.storage.files_of`.
    """

    inputs: Tensor
    split: Tensor
    source: Tensor
    labels: dict[str, Tensor]
    peak: float
    shape: tuple[int, int, int]
    note: str
    files: dict[str, str]
    _signals: tuple[Images | Waves, Images | Waves]  # for training and validation, and for test

    def values(self, rows: range | Tensor) -> Tensor:
        """Return the values of some signals, ``[len(rows), P, out]``."""
        rows = torch.as_tensor(rows)
        train, test = self._signals
        values = torch.empty(len(rows), len(self.inputs), self.shape[2], dtype=torch.float32)
        is_test = self.split[rows] == SPLITS.index("test")
        values[~is_test] = train.targets(self.source[rows][~is_test])
        values[is_test] = test.targets(self.source[rows][is_test])
        return values

    def stored(self, population: Population) -> Population:
        """Return the KANs unchanged. They are stored in single precision."""
        return population

    def columns(self, rows: Tensor, result: FitResult) -> dict[str, Tensor]:
        """Return the source, the labels and the PSNR (dB) of fitted KANs, ``[len(rows)]`` each."""
        columns = {"source": self.source[rows], "psnr": psnr(result.loss, self.peak).float()}
        return columns | {name: column[rows] for name, column in self.labels.items()}

    def oracle(self, population: Population) -> dict[str, Tensor]:
        """Return no tensors, because these KANs are not pruned."""
        return {}


def read_signals(recipe: Recipe, root: Path | str | None, fetch: bool) -> Signals:
    """Load the signals for the KANs of a recipe.

    Raises:
        DataError: see :func:`wskan.zoo.targets.load_targets`.
    """
    split = recipe.splits()
    if recipe.dataset == "sine":
        waves, source = sine_waves(len(recipe), recipe.seed), torch.arange(len(recipe))
        labels = {"freq_0": waves.frequencies[:, 0].clone(), "freq_1": waves.frequencies[:, 1].clone()}
        return Signals(coordinates(SIDE, SIDE), split, source, labels, 2.0, (SIDE, SIDE, 1), "", {}, (waves, waves))
    train = load_images(recipe.dataset, "train", root=root, fetch=fetch)
    test = load_images(recipe.dataset, "test", root=root, fetch=fetch)
    picked = pick_images(len(train), recipe.val + recipe.train, recipe)
    # validation takes the first ones, so that it does not change with the number of training KANs
    first = torch.cat([picked[recipe.val :], picked[: recipe.val]])
    last = pick_images(len(test), recipe.test, recipe)
    labels = {"label": torch.cat([train.labels[first], test.labels[last]])}
    height, width, channels = train.images.shape[1:]
    if recipe.spec.widths[0] != 2 or recipe.spec.widths[-1] != channels:
        raise DataError(f"{recipe.dataset} needs KANs [2, ..., {channels}], the recipe has {list(recipe.spec.widths)}")
    source = torch.cat([first, last])
    return Signals(
        coordinates(height, width),
        split,
        source,
        labels,
        1.0,
        (height, width, channels),
        train.note,
        files_of(train, test),
        (train, test),
    )
