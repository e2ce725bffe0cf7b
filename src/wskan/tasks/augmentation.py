"""Augmentation of KANs: random changes of the weights, or of the inputs, that keep the class."""

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
INPUT_SYMMETRIES = ("affine", "mirror")  # of the signal that a KAN represents; they move the probes
MAX_FACTOR = 2.0
NOISE_STD = 0.01  # relative to the parameter
MAX_SHIFT = 0.08  # half domains
MAX_LOG_STRETCH = 0.08  # natural logarithm of the factor
MAX_ROTATION = 0.14  # radians


def augment(population: Population, symmetries: Sequence[Symmetry], seed: int) -> Population:
    """Apply randomly drawn symmetries to each KAN of a population, as a function of the seed.

    The draw for one symmetry does not depend on the others. The order of their names does not matter.

    - ``"permutation"`` reorders the neurons of every hidden layer (paper, Proposition 3.1: the baseline "MLP + Aug.").
    - ``"scale"`` multiplies each spline weight by a log-uniform factor from 1/2 to 2, and divides the coefficients by
      it (:func:`wskan.kan.scale_edges`).
    - ``"sign"`` negates each hidden neuron with probability 1/2. It is exact only in the domain of the grids
      (:func:`wskan.kan.negate_neurons`).
    - ``"noise"`` multiplies each parameter by a normal number of mean 1 and standard deviation 0.01. It is not a
      symmetry.
    - ``"affine"`` and ``"mirror"`` leave the KAN unchanged (see :func:`input_map`).

    Args:
        population: K KANs.
        symmetries: names of symmetries.
        seed: seed of the draw.

    Returns:
        K KANs with other weights.

    Raises:
        DataError: unknown symmetry, or ``"sign"`` for KANs with base silu whose basis functions cannot form a straight
            line. This holds for splines of degree 0, and for every basis but B-splines.
    """
    check_symmetries(symmetries, population.spec)
    if "permutation" in symmetries:
        population = population.permute(_permutation(population.spec.widths, len(population), seed))
    if "scale" in symmetries:
        generator = _generator(seed, "scale")
        draws = [torch.rand(layer.mask.shape, generator=generator, dtype=torch.float32) for layer in population.layers]
        population = scale_edges(population, [MAX_FACTOR ** (2 * u - 1) for u in draws])
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
    """Draw a map of the inputs for each KAN, through which it looks like the KAN of a moved image.

    ``"affine"`` shifts each input by up to 0.08 of half the domain, and scales all inputs by one factor from e^-0.08 to
    e^0.08. KANs of two inputs are also rotated by up to 0.14 radians about the middle of the domain. ``"mirror"`` flips
    the last input with probability 1/2. For an image, this swaps left and right.

    Returns:
        The map, or None if ``symmetries`` contain neither.
    """
    if not set(symmetries) & set(INPUT_SYMMETRIES):
        return None
    size, n_in, angle = len(population), population.spec.widths[0], None
    scale, shift = (make(size, n_in, dtype=torch.float32) for make in (torch.ones, torch.zeros))
    if "mirror" in symmetries:
        scale[torch.rand(size, generator=_generator(seed, "mirror"), dtype=torch.float32) < 0.5, -1] = -1
    if "affine" in symmetries:
        u = torch.rand(size, n_in + 2, generator=_generator(seed, "affine"), dtype=torch.float32) * 2 - 1
        low, high = features.probe_domain
        scale, shift = scale * torch.exp(MAX_LOG_STRETCH * u[:, :1]), MAX_SHIFT * (high - low) / 2 * u[:, 2:]
        angle = MAX_ROTATION * u[:, 1] if n_in == 2 else None
    device = population.layers[0].coef.device
    return InputMap(scale=scale.to(device), shift=shift.to(device), angle=None if angle is None else angle.to(device))


def check_symmetries(symmetries: Sequence[Symmetry], spec: KANSpec, features: FeatureConfig | None = None) -> None:
    """Raise if symmetries cannot be applied to KANs of a specification, or do not change their features.

    Raises:
        DataError: see :func:`augment`. Also ``"affine"`` or ``"mirror"`` for KANs of more than 8 inputs, or for
            features that they do not change.
    """
    if isinstance(symmetries, str) or not set(symmetries) <= set(SYMMETRIES):
        raise DataError(f"symmetries must be some of {', '.join(SYMMETRIES)}, got {symmetries!r:.100}")
    if "sign" in symmetries:
        check_negatable(spec)
    moving = " and ".join(sorted(set(symmetries) & set(INPUT_SYMMETRIES)))
    if moving and spec.widths[0] > FEW:
        raise DataError(f"{moving}: only for KANs of at most {FEW} inputs, these have {spec.widths[0]}")
    if moving and features is not None and features.form != "function" and not features.probes:
        raise DataError(f"{moving}: changes probes and the form function, not the form {features.form} without probes")


def augment_edges(values: Tensor, widths: Sequence[int], symmetries: Sequence[Symmetry], seed: int) -> Tensor:
    """Reorder values of edges as :func:`augment` reorders the edges, so that targets follow their KANs.

    Args:
        values: ``[K, E, ...]``, edges in the order of :func:`wskan.kan.edges.flatten_edges`.
        widths: widths of the KANs.
        symmetries, seed: see :func:`augment`.

    Returns:
        The values in the new order, ``[K, E, ...]``.
    """
    if "permutation" not in symmetries:
        return values
    return flatten_edges(_permutation(widths, len(values), seed).edges(unflatten_edges(values, widths)))


def _permutation(widths: Sequence[int], size: int, seed: int) -> Permutation:
    return Permutation.random(widths, size, torch.Generator().manual_seed(seed))


def _generator(seed: int, symmetry: Symmetry) -> torch.Generator:
    """Make the generator of one symmetry. Permutations use the seed itself, as in results of earlier versions."""
    stream = SYMMETRIES.index(symmetry)
    return torch.Generator().manual_seed(int(derive_seed(torch.tensor([seed]), stream)))


def _add_noise(population: Population, generator: torch.Generator) -> Population:
    layers = []
    for layer in population.layers:
        fields = vars(layer)
        for name in ("base_weight", "spline_weight", "coef"):
            noise = torch.randn(fields[name].shape, generator=generator, dtype=torch.float32).to(fields[name])
            fields = {**fields, name: fields[name] * (1 + NOISE_STD * noise)}
        layers.append(Layer(**fields))
    return Population(population.spec, layers)
