"""Random symmetries of KANs, and of what they represent: the class stays the same, weights or activations do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from wskan.errors import DataError
from wskan.graph import FeatureConfig
from wskan.graph.probes import FEW, probe_inputs
from wskan.kan import KANSpec, Layer, Permutation, Population, derive_seed, negate_neurons, scale_edges
from wskan.kan.edges import join_edges, split_edges
from wskan.kan.symmetry import check_negatable

Symmetry = Literal["permutation", "scale", "sign", "noise", "affine", "mirror"]
SYMMETRIES: tuple[str, ...] = get_args(Symmetry)
OF_INPUTS = ("affine", "mirror")  # of what a KAN represents: they move the probes
SCALE, NOISE = 2.0, 0.01  # largest factor, and relative standard deviation
SHIFT, STRETCH, ROTATION = 0.08, 0.08, 0.14  # largest: half domains, logarithm of the factor, radians


def augment(population: Population, symmetries: Sequence[Symmetry], seed: int) -> Population:
    """The same functions by other weights: a fresh draw of each symmetry for each KAN, as a function of the seed.

    What is drawn for one symmetry does not depend on which others are asked for, nor the outcome on the order in which they are named.

    Args:
        population: K KANs.
        symmetries: ``"permutation"`` reorders the neurons of every hidden layer (paper, Proposition 3.1: the baseline "MLP + Aug."); ``"scale"`` multiplies each spline
            weight by a factor from 1/2 to 2, log-uniform, and divides the coefficients by it (:func:`wskan.kan.scale_edges`); ``"sign"`` negates each hidden neuron or not
            (:func:`wskan.kan.negate_neurons`: exact in the domain of the grids only); ``"noise"``, which is no symmetry, multiplies each parameter by a normal number of mean 1 and
            standard deviation 0.01. ``"affine"`` and ``"mirror"`` leave the KAN as it is; see :func:`moved_probes`.
        seed: of the draw.

    Raises:
        DataError: an unknown symmetry, or ``"sign"`` for silu beside functions that cannot be a straight line: splines of degree 0, and every basis but B-splines.
    """
    check_symmetries(symmetries, population.spec)
    if "permutation" in symmetries:
        population = population.permute(_permutation(population.spec.widths, len(population), seed))
    if "scale" in symmetries:
        generator = _generator(seed, "scale")
        draws = [torch.rand(layer.mask.shape, generator=generator, dtype=torch.float32) for layer in population.layers]
        population = scale_edges(population, [SCALE ** (2 * u - 1) for u in draws])
    if "sign" in symmetries:
        generator, hidden = _generator(seed, "sign"), population.spec.widths[1:-1]
        population = negate_neurons(
            population, [torch.rand(len(population), n, generator=generator, dtype=torch.float32) < 0.5 for n in hidden]
        )
    if "noise" in symmetries:
        population = _add_noise(population, _generator(seed, "noise"))
    return population


def moved_probes(
    population: Population, features: FeatureConfig, symmetries: Sequence[Symmetry], seed: int
) -> Tensor | None:
    """Draw the inputs at which each KAN is probed, so that it is seen as the KAN of a moved image.

    A KAN evaluated at shifted, rotated, scaled or mirrored inputs is the KAN of an image that is. ``"affine"`` draws for each KAN one shift for each input of up to 0.08 of half the domain,
    a factor of e^-0.08 to e^0.08 and, where there are two inputs, a rotation of up to 0.14 radians about the middle of the domain; ``"mirror"`` mirrors the last input (from left to right, of an image) or not. Points
    that would leave the domain stay on its border.

    Returns:
        ``[K, P, in]``; None if ``symmetries`` move no probes.
    """
    if not set(symmetries) & set(OF_INPUTS):
        return None
    low, high = features.probe_domain
    middle, half, size, n_in = (low + high) / 2, (high - low) / 2, len(population), population.spec.widths[0]
    x = (probe_inputs(population, features.probes, features.probe_domain) - middle).expand(size, -1, -1)
    if "mirror" in symmetries:
        flipped = torch.rand(size, generator=_generator(seed, "mirror"), dtype=torch.float32) < 0.5
        sign = torch.ones(size, 1, n_in, dtype=torch.float32)
        sign[flipped, :, -1] = -1
        x = x * sign
    if "affine" in symmetries:
        u = torch.rand(size, n_in + 2, generator=_generator(seed, "affine"), dtype=torch.float32) * 2 - 1
        if n_in == 2:
            angle = ROTATION * u[:, 0]
            turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], -1).view(-1, 2, 2)
            x = x @ turn
        x = x * torch.exp(STRETCH * u[:, 1])[:, None, None] + SHIFT * half * u[:, None, 2:]
    return x.clamp(-half, half) + middle


def check_symmetries(symmetries: Sequence[Symmetry], spec: KANSpec, features: FeatureConfig | None = None) -> None:
    """Refuse what cannot be drawn for KANs of a specification, or shows in none of their features.

    Raises:
        DataError: see :func:`augment`; ``"affine"`` or ``"mirror"`` without probes, or for KANs of more than 8 inputs.
    """
    if isinstance(symmetries, str) or not set(symmetries) <= set(SYMMETRIES):
        raise DataError(f"symmetries must be some of {', '.join(SYMMETRIES)}, got {symmetries!r:.100}")
    if "sign" in symmetries:
        check_negatable(spec)
    moving = sorted(set(symmetries) & set(OF_INPUTS))
    if moving and features is not None and (not features.probes or spec.widths[0] > FEW):
        raise DataError(
            f"{' and '.join(moving)} move probes of KANs of at most {FEW} inputs; these have {spec.widths[0]}, and {features.probes} probes"
        )


def augment_edges(values: Tensor, widths: Sequence[int], symmetries: Sequence[Symmetry], seed: int) -> Tensor:
    """Values of edges, reordered as :func:`augment` reorders the edges with the same arguments: targets follow their KANs.

    Args:
        values: ``[K, E, ...]``, edges in the order of :func:`wskan.kan.edges.join_edges`.
        widths: of the KANs.
        symmetries, seed: see :func:`augment`.
    """
    if "permutation" not in symmetries:
        return values
    return join_edges(_permutation(widths, len(values), seed).edges(split_edges(values, widths)))


def _permutation(widths: Sequence[int], size: int, seed: int) -> Permutation:
    return Permutation.random(widths, size, torch.Generator().manual_seed(seed))


def _generator(seed: int, symmetry: Symmetry) -> torch.Generator:
    """One of its own for each symmetry; that of permutations is seeded with the seed itself, as results of earlier versions were."""
    stream = SYMMETRIES.index(symmetry)
    return torch.Generator().manual_seed(int(derive_seed(torch.tensor([seed]), stream)))


def _add_noise(population: Population, generator: torch.Generator) -> Population:
    layers = []
    for layer in population.layers:
        fields = vars(layer)
        for name in ("base_weight", "spline_weight", "coef"):
            noise = torch.randn(fields[name].shape, generator=generator, dtype=torch.float32).to(fields[name])
            fields = {**fields, name: fields[name] * (1 + NOISE * noise)}
        layers.append(Layer(**fields))
    return Population(population.spec, layers)
