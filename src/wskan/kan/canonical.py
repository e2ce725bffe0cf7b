"""Canonical forms: one choice among all weights that differ by scale, shift and sign and give the same function."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wskan.errors import DataError
from wskan.kan.bases.base import Basis
from wskan.kan.layer import Layer
from wskan.kan.population import Population
from wskan.kan.symmetry import negatable, negate_neurons


def fold(population: Population) -> Population:
    """Multiply the spline weights into the coefficients and set them to 1, which removes the freedom of scale.

    The functions stay exactly the same everywhere.
    """
    layers = []
    for layer in population.layers:
        coef = layer.spline_weight.unsqueeze(-1) * layer.coef
        layers.append(dataclasses.replace(layer, spline_weight=torch.ones_like(layer.spline_weight), coef=coef))
    return Population(population.spec, layers)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class CanonicalForm:
    """KANs with fixed scale, shift and sign; see :func:`canonicalize`.

    Attributes:
        population: KANs with spline weights 1 whose edges contain no constant: coefficients of B-splines have mean 0.
        biases: ``[K, n_{l+1}]`` per layer, added to each neuron that the layer leads to.
        negated: ``[K, n_l]`` bool per hidden layer, True for the neurons that were negated.
    """

    population: Population
    biases: tuple[Tensor, ...]
    negated: tuple[Tensor, ...]

    def __call__(self, x: Tensor) -> Tensor:
        """Evaluate at ``[K, B, in]``, giving ``[K, B, out]``; the same outputs as the original KANs in the domain."""
        for layer, bias in zip(self.population.layers, self.biases, strict=True):
            x = layer(x, self.population.spec) + bias.unsqueeze(1)
        return x


def canonicalize(population: Population) -> CanonicalForm:
    """Choose one of all KANs that differ by scale, shift and sign of hidden neurons, without changing the function.

    The function is the same in the domain. Spline weights are folded into the coefficients. The constant of each edge
    moves to a bias of the neuron that the edge leads to. For B-splines this constant is the mean of the coefficients.
    Then each hidden neuron of negative *polarity* is negated (:func:`wskan.kan.negate_neurons`).

    With silu, the polarity is the sum of the incoming base weights; with identity or zero it is the neuron's bias. It
    changes sign with the neuron but not with the neurons before it: silu(-x) = silu(x) - x keeps its weight, and a
    mirrored spline keeps its mean. A neuron of polarity zero stays as it is, for example one without incoming edges.
    With silu and a basis that contains no straight line, no neuron can be negated.

    Raises:
        DataError: the basis contains no constant (``"rbf"``, ``"wavelet"``).
    """
    functions, base = population.spec.basis_functions, population.spec.base
    constant = gauge_constant(functions)
    population = fold(population)
    negated = [_polarity(layer, base, functions) < 0 for layer in population.layers[:-1]]
    if negatable(population.spec):
        population = negate_neurons(population, negated)
    else:
        negated = [torch.zeros_like(which) for which in negated]
    layers, biases = [], []
    for layer in population.layers:
        level = functions.constant_part(layer.coef)  # [K, in, out, 1]
        layers.append(dataclasses.replace(layer, coef=layer.coef - level * constant.to(level)))
        biases.append((level.squeeze(-1) * layer.mask).sum(1))
    return CanonicalForm(population=Population(population.spec, layers), biases=tuple(biases), negated=tuple(negated))


def gauge_constant(functions: Basis) -> Tensor:
    """Return the coefficients ``[C]`` of the constant function, which the canonical form removes from the edges.

    Raises:
        DataError: the basis contains no constant.
    """
    if (constant := functions.constant_coefficients()) is None:
        raise DataError(
            f"{functions.name!r} has no constant function, so its KANs have no gauge: "
            "describe them folded, raw or by their functions"
        )
    return constant


def _polarity(layer: Layer, base: str, functions: Basis) -> Tensor:
    """Compute the polarity of each neuron ``[K, out]`` from folded KANs."""
    return (
        (layer.base_weight if base == "silu" else functions.constant_part(layer.coef).squeeze(-1)) * layer.mask
    ).sum(1)
