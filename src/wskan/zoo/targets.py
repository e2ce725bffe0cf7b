"""What each KAN of a recipe is to represent."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor

from wskan.errors import DataError
from wskan.signals import Images, Waves, coordinates, load_images, sine_waves
from wskan.signals.waves import SIDE
from wskan.zoo.recipe import Recipe

SPLITS = ("train", "val", "test")


@dataclasses.dataclass(frozen=True)
class Targets:
    """Signals for all KANs of a recipe, in the order of the zoo: training, validation, test.

    Attributes:
        inputs: ``[P, in]`` coordinates, the same for all.
        split: ``[n]`` int64, index into ``SPLITS``.
        source: ``[n]`` int64, index of the image in its split of the data set, or of the wave.
        labels: columns of the zoo that say what the KAN represents.
        peak: range of the signal, for the PSNR.
        shape: ``(H, W, C)`` of a signal.
        note: what is unusual about the data; empty if nothing is.
    """

    inputs: Tensor
    split: Tensor
    source: Tensor
    labels: dict[str, Tensor]
    peak: float
    shape: tuple[int, int, int]
    note: str
    _signals: tuple[Images | Waves, Images | Waves]  # for training and validation, for test

    def values(self, rows: range | Tensor) -> Tensor:
        """Values ``[len(rows), P, out]`` of some signals."""
        rows = torch.as_tensor(rows)
        train, test = self._signals
        values = torch.empty(len(rows), len(self.inputs), self.shape[2])
        is_test = self.split[rows] == SPLITS.index("test")
        values[~is_test] = train.targets(self.source[rows][~is_test])
        values[is_test] = test.targets(self.source[rows][is_test])
        return values


def load_targets(recipe: Recipe, root: Path | str | None = None, *, fetch: bool = False) -> Targets:
    """Load the data that a recipe needs.

    Raises:
        DataError: data that is missing, damaged, of another shape, or too little for the recipe.
    """
    counts = (recipe.train, recipe.val, recipe.test)
    split = torch.arange(3).repeat_interleave(torch.tensor(counts))
    if recipe.dataset == "sine":
        waves, source = sine_waves(len(recipe), recipe.seed), torch.arange(len(recipe))
        labels = {"freq_0": waves.frequencies[:, 0].clone(), "freq_1": waves.frequencies[:, 1].clone()}
        return Targets(coordinates(SIDE, SIDE), split, source, labels, 2.0, (SIDE, SIDE, 1), "", (waves, waves))
    train = load_images(recipe.dataset, "train", root=root, fetch=fetch)
    test = load_images(recipe.dataset, "test", root=root, fetch=fetch)
    first, last = _pick(len(train), recipe.val + recipe.train, recipe), _pick(len(test), recipe.test, recipe)
    first = torch.cat(
        [first[recipe.val :], first[: recipe.val]]
    )  # validation picks first: more training KANs leave it alone
    labels = {"label": torch.cat([train.labels[first], test.labels[last]])}
    height, width, channels = train.images.shape[1:]
    if recipe.spec.widths[0] != 2 or recipe.spec.widths[-1] != channels:
        raise DataError(f"{recipe.dataset} needs KANs [2, ..., {channels}], the recipe has {list(recipe.spec.widths)}")
    source = torch.cat([first, last])
    return Targets(
        coordinates(height, width), split, source, labels, 1.0, (height, width, channels), train.note, (train, test)
    )


def _pick(available: int, count: int, recipe: Recipe) -> Tensor:
    if count > available:
        raise DataError(
            f"{recipe.dataset} has {available:,} images of a split, the recipe wants {count:,}; lower its counts"
        )
    return torch.randperm(available, generator=torch.Generator().manual_seed(recipe.seed))[:count]
