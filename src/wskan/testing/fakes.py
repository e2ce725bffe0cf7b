"""Random KANs, and a zoo of them that is instant, offline and learnable."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from wskan.kan import FitConfig, KANSpec, Layer, Population
from wskan.kan.oracle import THRESHOLD
from wskan.zoo import Recipe, Zoo
from wskan.zoo.manifest import Manifest

LARGE = 0.15  # mean square of the coefficients of an edge whose score is the oracle's threshold


def random_population(
    widths: Sequence[int],
    size: int,
    seed: int,
    *,
    grid: int = 4,
    degree: int = 3,
    domain: tuple[float, float] = (-1.0, 1.0),
    keep: float = 0.8,
    base: str = "silu",
    basis: str = "bspline",
    adapted: bool = True,
) -> Population:
    """Return KANs with random weights, masks and grids.

    Args:
        widths: number of neurons of each layer.
        size: number K of KANs.
        seed: seed of all random numbers.
        grid, degree, domain, base, basis: see :class:`wskan.kan.KANSpec`.
        keep: share of edges that are not masked.
        adapted: give each neuron its own grid. If False, all share the uniform grid.
    """
    spec = KANSpec(widths=tuple(widths), grid=grid, degree=degree, domain=domain, base=base, basis=basis)
    generator, uniform = torch.Generator().manual_seed(seed), spec.basis_functions.knots().expand(1, 1, -1)
    layers = []
    for n, m in itertools.pairwise(widths):
        inner = (torch.rand(size, n, grid + 1, generator=generator) + 0.1).cumsum(-1) - 1.5
        layers.append(
            Layer(
                base_weight=torch.randn(size, n, m, generator=generator),
                spline_weight=torch.randn(size, n, m, generator=generator),
                coef=torch.randn(size, n, m, spec.num_basis, generator=generator) * 0.3,
                mask=(torch.rand(size, n, m, generator=generator) < keep).float(),
                knots=spec.basis_functions.extend(inner) if adapted else uniform,
            )
        )
    return Population(spec, layers)


def in_domain(population: Population, seed: int, points: int = 60) -> tuple[Population, Tensor]:
    """Return similar KANs whose activations stay in the domains of their grids, and such inputs, ``[K, points, in]``.

    With the shared uniform grid, functions that lead to hidden neurons are scaled down. With grids per neuron, the
    grids are stretched and shifted.

    Args:
        population: K KANs.
        seed: seed of the inputs.
        points: number of inputs of each KAN.
    """
    spec, functions = population.spec, population.spec.basis_functions
    first = functions.inner(population.layers[0].knots)
    u = torch.rand(len(population), points, spec.widths[0], generator=torch.Generator().manual_seed(seed)).to(first)
    low, high = first[..., 0].unsqueeze(1), first[..., -1].unsqueeze(1)  # [K or 1, 1, in or 1]
    x = values = low + (0.01 + 0.98 * u) * (high - low)
    layers = list(population.layers)
    for index in range(len(layers) - 1):
        layer, following = layers[index], layers[index + 1]
        values = layer(values, spec)
        if population.uniform_grid:
            edge = min(-spec.domain[0], spec.domain[1])
            scale = (0.9 * edge / values.abs().amax(1).clamp_min(1e-3)).unsqueeze(1)  # [K, 1, out]
            coef = layer.coef * scale.unsqueeze(-1)
            layers[index] = dataclasses.replace(layer, base_weight=layer.base_weight * scale, coef=coef)
            values = values * scale
        else:
            ends = values.amin(1) - 0.1, values.amax(1) + 0.1  # [K, out]
            knots = following.knots - functions.inner(following.knots)[..., :1]
            length = functions.inner(knots)[..., -1]
            knots = knots * ((ends[1] - ends[0]) / length).unsqueeze(-1) + ends[0].unsqueeze(-1)
            layers[index + 1] = dataclasses.replace(following, knots=knots)
    return Population(spec, layers), x


class FakeZoo(Zoo):
    """A zoo in memory of random KANs whose weights depend on their columns, so that a model can learn them.

    KANs that represent signals have labels, and the frequencies of the regression task. Classifiers have accuracy and
    noise, and an oracle whose scores grow with the coefficients of an edge.

    Args:
        widths: number of neurons of each layer.
        train, val, test: number of KANs of each split.
        classes: number of labels.
        classifiers: make classifiers instead of KANs that represent signals.
        seed: seed of all random numbers.
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
            "split": recipe.splits(),
            "seed": index,
            "attempts": torch.zeros_like(index),
            "loss": zeros.double(),
        }
        if classifiers:
            self.columns |= {"accuracy": 0.9 - 0.8 * label / classes, "noise": label / classes}
        else:
            waves = {"freq_0": 0.5 + 9.5 * label / classes, "freq_1": 10 - 9.5 * label / classes}
            self.columns |= {"source": index, "psnr": zeros + 50, "label": label, **waves}
        mean_squares = [layer.coef.square().mean(-1) for layer in kans.layers] if classifiers else []
        self._masks = [square > LARGE for square in mean_squares]  # keeps about one in nine
        # as spread as scores of trained KANs
        self._scores = [math.log(THRESHOLD) + 4 * (square / LARGE).log() for square in mean_squares]

    @property
    def dtype(self) -> torch.dtype:
        """Return single precision."""
        return torch.float32

    @property
    def has_masks(self) -> bool:
        """Return whether the KANs are classifiers."""
        return bool(self._masks)

    @property
    def has_scores(self) -> bool:
        """Return whether the KANs are classifiers."""
        return bool(self._scores)

    def population(self, rows: Tensor | slice | str, *, stored: bool = False) -> Population:
        """Return some of the KANs in the requested order."""
        return self._kans[self.rows(rows)]

    def masks(self, rows: Tensor | slice) -> list[Tensor]:
        """Return which edges of some of the KANs to keep, ``[n, n_l, n_{l+1}]`` bool per layer."""
        self.check_masks()
        return [mask[rows] for mask in self._masks]

    def scores(self, rows: Tensor | slice) -> list[Tensor]:
        """Return logarithms of scores of the edges of some of the KANs, ``[n, n_l, n_{l+1}]`` float32 per layer."""
        self.check_scores()
        return [score[rows] for score in self._scores]

    def verify(self) -> None:
        """Do nothing, because nothing is on disk."""
