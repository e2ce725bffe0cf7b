"""Random KANs, and a zoo of them: instant, offline, and learnable."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from wskan.kan import FitConfig, KANSpec, Layer, Population, extend_knots
from wskan.zoo import SPLITS, Recipe, Zoo
from wskan.zoo.manifest import Manifest


def random_population(
    widths: Sequence[int], size: int, seed: int, *, grid: int = 4, degree: int = 3, keep: float = 0.8
) -> Population:
    """KANs with random weights, masks and grids, none of them special.

    Args:
        widths: neurons a layer.
        size: number K of KANs.
        seed: of all random numbers.
        grid, degree: see :class:`wskan.kan.KANSpec`.
        keep: share of edges that are not masked.
    """
    spec, generator = KANSpec(widths=tuple(widths), grid=grid, degree=degree), torch.Generator().manual_seed(seed)
    layers = []
    for n, m in itertools.pairwise(widths):
        inner = (torch.rand(size, n, grid + 1, generator=generator) + 0.1).cumsum(-1) - 1.5
        layers.append(
            Layer(
                base_weight=torch.randn(size, n, m, generator=generator),
                spline_weight=torch.randn(size, n, m, generator=generator),
                coef=torch.randn(size, n, m, spec.num_basis, generator=generator) * 0.3,
                mask=(torch.rand(size, n, m, generator=generator) < keep).float(),
                knots=extend_knots(inner, degree),
            )
        )
    return Population(spec, layers)


class FakeZoo(Zoo):
    """A zoo in memory of random KANs whose labels show in their weights, so that a model can learn them.

    Args:
        widths: neurons a layer.
        train, val, test: number of KANs of each split.
        classes: number of labels; the frequencies of the regression task are there, too.
        seed: of everything.
    """

    def __init__(
        self,
        widths: Sequence[int] = (2, 4, 4, 1),
        *,
        train: int = 60,
        val: int = 20,
        test: int = 20,
        classes: int = 10,
        seed: int = 0,
    ) -> None:
        size = train + val + test
        kans = random_population(widths, size, seed, keep=1.0)
        label = torch.randint(classes, (size,), generator=torch.Generator().manual_seed(seed + 1))
        for layer in kans.layers:
            layer.base_weight.add_(label.view(-1, 1, 1) / classes * 4 - 2)
        recipe = Recipe(
            name="fake", dataset="digits", spec=kans.spec, fit=FitConfig(), train=train, val=val, test=test, seed=seed
        )
        self.folder, self.manifest, self._kans = Path("fake"), Manifest(recipe), kans
        index, zeros = torch.arange(size), torch.zeros(size)
        self.columns = {
            "index": index,
            "split": torch.arange(len(SPLITS)).repeat_interleave(torch.tensor([train, val, test])),
            "source": index,
            "seed": index,
            "attempts": torch.zeros_like(index),
            "loss": zeros.double(),
            "psnr": zeros + 50,
            "label": label,
            "freq_0": 0.5 + 9.5 * label / classes,
            "freq_1": 10 - 9.5 * label / classes,
        }

    def population(self, rows: Tensor | slice) -> Population:
        """Some of the KANs, in the order asked for."""
        return self._kans[torch.arange(len(self))[rows]]

    def verify(self) -> None:
        """Nothing on disk, nothing to check."""
