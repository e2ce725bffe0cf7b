"""Canonical forms: of all weights that give the same function by scale, shift and sign, one choice."""

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
    """The spline weights multiplied into the coefficients, and all of them 1: what scaling cannot change. The function is the same everywhere."""
    layers = []
    for layer in population.layers:
        coef = layer.spline_weight.unsqueeze(-1) * layer.coef
        layers.append(dataclasses.replace(layer, spline_weight=torch.ones_like(layer.spline_weight), coef=coef))
    return Population(population.spec, layers)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class CanonicalForm:
    """KANs of which scale, shift and sign are fixed; see :func:`canonicalize`.

    Attributes:
        population: spline weights are 1, and the edges hold no constant: coefficients of B-splines have mean 0.
        biases: of layer l ``[K, n_{l+1}]``, what is added to each neuron that the layer leads to.
        negated: ``[K, n_l]`` bool for each hidden layer, which neurons were negated.
    """

    population: Population
    biases: tuple[Tensor, ...]
    negated: tuple[Tensor, ...]

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs ``[K, B, out]`` on ``[K, B, in]``, in the domain those of the KANs that it was made from."""
        for layer, bias in zip(self.population.layers, self.biases, strict=True):
            x = layer(x, self.population.spec) + bias.unsqueeze(1)
        return x


def canonicalize(population: Population) -> CanonicalForm:
    """One choice of all KANs that differ by scale, shift and sign of hidden neurons, the same function in the domain.

    Spline weights are folded into the coefficients; the constant of each edge, the mean of its coefficients where they are of B-splines, moves to a bias of the neuron that the edge leads to; and a
    hidden neuron is negated (:func:`wskan.kan.negate_neurons`) unless its *polarity* is positive: the sum of the base weights that lead to it, or its bias where the base
    function is the identity or zero. Either changes sign with the neuron, and neither with the neurons before it: silu(-x) = silu(x) - x keeps its weight, a mirrored spline its
    mean. A neuron of polarity zero, as one that no edge leads to, stays as it is, and so does each of a KAN that has no such symmetry, for want of a straight line beside silu.

    Raises:
        DataError: basis functions that cannot be a constant (``"rbf"``, ``"wavelet"``).
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
    """Coefficients ``[C]`` of the constant that a gauge takes out of the edges.

    Raises:
        DataError: basis functions that cannot be a constant.
    """
    if (constant := functions.constant_coefficients()) is None:
        raise DataError(
            f"{functions.name!r} has no constant to take out, so no gauge: describe its KANs folded, raw or by their functions"
        )
    return constant


def _polarity(layer: Layer, base: str, functions: Basis) -> Tensor:
    """``[K, out]``, of folded KANs."""
    return (
        (layer.base_weight if base == "silu" else functions.constant_part(layer.coef).squeeze(-1)) * layer.mask
    ).sum(1)
