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
    """A zoo in memory of random KANs whose facts show in their weights, so that a model can learn them.

    KANs that represent signals have labels, and the frequencies of the regression task. Classifiers have accuracy and noise, and the mask of an oracle that keeps edges
    of large coefficients.

    Args:
        widths: neurons a layer.
        train, val, test: number of KANs of each split.
        classes: number of labels.
        classifiers: whether the KANs are classifiers.
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
        classifiers: bool = False,
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
            "seed": index,
            "attempts": torch.zeros_like(index),
            "loss": zeros.double(),
        }
        if classifiers:
            self.columns |= {"accuracy": 0.9 - 0.8 * label / classes, "noise": label / classes}
        else:
            waves = {"freq_0": 0.5 + 9.5 * label / classes, "freq_1": 10 - 9.5 * label / classes}
            self.columns |= {"source": index, "psnr": zeros + 50, "label": label, **waves}
        large = [layer.coef.square().mean(-1) > 0.15 for layer in kans.layers]  # about one in nine
        self._masks = large if classifiers else []

    @property
    def dtype(self) -> torch.dtype:
        """Single precision."""
        return torch.float32

    @property
    def has_masks(self) -> bool:
        """Whether the KANs are classifiers."""
        return bool(self._masks)

    def population(self, rows: Tensor | slice, *, stored: bool = False) -> Population:
        """Some of the KANs, in the order asked for."""
        return self._kans[torch.arange(len(self))[rows]]

    def masks(self, rows: Tensor | slice) -> list[Tensor]:
        """Which edges of some of the KANs to keep, one ``[n, n_l, n_{l+1}]`` bool a layer."""
        self.check_masks()
        return [mask[rows] for mask in self._masks]

    def verify(self) -> None:
        """Nothing on disk, nothing to check."""
