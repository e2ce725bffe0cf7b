"""Random symmetries of KANs, and of what they represent: the class stays the same, weights or activations do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from wskan.errors import DataError
from wskan.graph import FeatureConfig, InputMap
from wskan.graph.probes import FEW
from wskan.kan import KANSpec, Layer, Permutation, Population, derive_seed, negate_neurons, scale_edges
from wskan.kan.edges import flatten_edges, unflatten_edges
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
            standard deviation 0.01. ``"affine"`` and ``"mirror"`` leave the KAN as it is; see :func:`input_map`.
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


def input_map(
    population: Population, features: FeatureConfig, symmetries: Sequence[Symmetry], seed: int
) -> InputMap | None:
    """Draw how the inputs of each KAN move, so that it is seen as the KAN of a moved image; None if ``symmetries`` do not ask for it.

    ``"affine"`` draws for each KAN a shift of each input of up to 0.08 of half the domain, one factor of e^-0.08 to e^0.08 and, where there are two inputs, a rotation of up to
    0.14 radians about the middle of the domain; ``"mirror"`` mirrors the last input (from left to right, of an image) or not.
    """
    if not set(symmetries) & set(OF_INPUTS):
        return None
    size, n_in, angle = len(population), population.spec.widths[0], None
    scale, shift = (make(size, n_in, dtype=torch.float32) for make in (torch.ones, torch.zeros))
    if "mirror" in symmetries:
        scale[torch.rand(size, generator=_generator(seed, "mirror"), dtype=torch.float32) < 0.5, -1] = -1
    if "affine" in symmetries:
        u = torch.rand(size, n_in + 2, generator=_generator(seed, "affine"), dtype=torch.float32) * 2 - 1
        low, high = features.probe_domain
        scale, shift = scale * torch.exp(STRETCH * u[:, :1]), SHIFT * (high - low) / 2 * u[:, 2:]
        angle = ROTATION * u[:, 1] if n_in == 2 else None
    device = population.layers[0].coef.device
    return InputMap(scale=scale.to(device), shift=shift.to(device), angle=None if angle is None else angle.to(device))


def check_symmetries(symmetries: Sequence[Symmetry], spec: KANSpec, features: FeatureConfig | None = None) -> None:
    """Refuse what cannot be drawn for KANs of a specification, or shows in none of their features.

    Raises:
        DataError: see :func:`augment`; ``"affine"`` or ``"mirror"`` for KANs of more than 8 inputs, or for features that they do not show in.
    """
    if isinstance(symmetries, str) or not set(symmetries) <= set(SYMMETRIES):
        raise DataError(f"symmetries must be some of {', '.join(SYMMETRIES)}, got {symmetries!r:.100}")
    if "sign" in symmetries:
        check_negatable(spec)
    moving = sorted(set(symmetries) & set(OF_INPUTS))
    if moving and spec.widths[0] > FEW:
        raise DataError(f"{' and '.join(moving)}: for KANs of at most {FEW} inputs, these have {spec.widths[0]}")
    if moving and features is not None and features.form != "function" and not features.probes:
        raise DataError(f"{' and '.join(moving)} show in probes and in the form function, not in {features.form}")


def augment_edges(values: Tensor, widths: Sequence[int], symmetries: Sequence[Symmetry], seed: int) -> Tensor:
    """Values of edges, reordered as :func:`augment` reorders the edges with the same arguments: targets follow their KANs.

    Args:
        values: ``[K, E, ...]``, edges in the order of :func:`wskan.kan.edges.flatten_edges`.
        widths: of the KANs.
        symmetries, seed: see :func:`augment`.
    """
    if "permutation" not in symmetries:
        return values
    return flatten_edges(_permutation(widths, len(values), seed).edges(unflatten_edges(values, widths)))


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
