"""Signals that KANs learn to represent."""

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
        inputs: ``[P, in]`` coordinates, the same for all.
        split: ``[n]`` int64, index into ``SPLITS``.
        source: ``[n]`` int64, index of the image in its split of the data set, or of the wave.
        labels: columns of the zoo that say what the KAN represents.
        peak: range of the signal, for the PSNR.
        shape: ``(H, W, C)`` of a signal.
        note: what is unusual about the data; empty if nothing is.
        files: what the manifest keeps of the files that it was read from, see :func:`files_of`.
    """

    inputs: Tensor
    split: Tensor
    source: Tensor
    labels: dict[str, Tensor]
    peak: float
    shape: tuple[int, int, int]
    note: str
    files: dict[str, str]
    _signals: tuple[Images | Waves, Images | Waves]  # for training and validation, for test

    def values(self, rows: range | Tensor) -> Tensor:
        """Values ``[len(rows), P, out]`` of some signals."""
        rows = torch.as_tensor(rows)
        train, test = self._signals
        values = torch.empty(len(rows), len(self.inputs), self.shape[2], dtype=torch.float32)
        is_test = self.split[rows] == SPLITS.index("test")
        values[~is_test] = train.targets(self.source[rows][~is_test])
        values[is_test] = test.targets(self.source[rows][is_test])
        return values

    def stored(self, population: Population) -> Population:
        """As it goes to disk."""
        return population

    def columns(self, rows: Tensor, result: FitResult) -> dict[str, Tensor]:
        """Columns for some fitted KANs, and their PSNR (dB)."""
        columns = {"source": self.source[rows], "psnr": psnr(result.loss, self.peak).float()}
        return columns | {name: column[rows] for name, column in self.labels.items()}

    def oracle(self, population: Population) -> dict[str, Tensor]:
        """None: nobody prunes these."""
        return {}


def read_signals(recipe: Recipe, root: Path | str | None, fetch: bool) -> Signals:
    """Load what the KANs of a recipe represent; errors as :func:`wskan.zoo.targets.load_targets`."""
    split = recipe.splits()
    if recipe.dataset == "sine":
        waves, source = sine_waves(len(recipe), recipe.seed), torch.arange(len(recipe))
        labels = {"freq_0": waves.frequencies[:, 0].clone(), "freq_1": waves.frequencies[:, 1].clone()}
        return Signals(coordinates(SIDE, SIDE), split, source, labels, 2.0, (SIDE, SIDE, 1), "", {}, (waves, waves))
    train = load_images(recipe.dataset, "train", root=root, fetch=fetch)
    test = load_images(recipe.dataset, "test", root=root, fetch=fetch)
    first, last = (
        pick_images(len(train), recipe.val + recipe.train, recipe),
        pick_images(len(test), recipe.test, recipe),
    )
    first = torch.cat(
        [first[recipe.val :], first[: recipe.val]]
    )  # validation picks first: more training KANs leave it alone
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
