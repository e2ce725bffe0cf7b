"""Describe edges as they are stored, or so that fewer symmetries of KANs change the description."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

import torch
from torch import Tensor

from wskan.errors import DataError
from wskan.graph.probes import InputMap
from wskan.kan import KANSpec, Layer, Population, Responses, canonicalize, fold
from wskan.kan.edge_functions import edge_function_tables

Form = Literal["raw", "folded", "gauge", "function", "observed"]
FORMS: tuple[str, ...] = get_args(Form)
POINTS = 12  # at which an edge function is sampled


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class EdgeFeatures:
    """The features of K KANs in one form.

    Attributes:
        edges: ``[K, n_l, n_{l+1}, F]`` per layer, zero for a masked edge.
        biases: for each layer, the biases of the neurons it leads to, ``[K, n_{l+1}]``; None if the form has none.
        population: the KANs that edges and biases belong to. Their grids are those of the form.
        negated: for each hidden layer, which of its neurons the form negates, ``[K, n_l]`` bool; None if it negates
            none.
    """

    edges: tuple[Tensor, ...]
    biases: tuple[Tensor, ...] | None = None
    population: Population
    negated: tuple[Tensor, ...] | None = None

    def oriented(self, activations: Tensor, index: int) -> Tensor:
        """Return activations ``[K, n_l, P]`` of the neurons of layer ``index`` with the signs of this form."""
        if self.negated is None or index > len(self.negated):
            return activations
        return torch.where(self.negated[index - 1].unsqueeze(-1), -activations, activations)


def edge_features(
    population: Population, form: Form, probed: Responses | None = None, inputs: InputMap | None = None
) -> EdgeFeatures:
    """Describe the edges in one of five forms.

    The forms differ in which changes of parameters that keep the KAN's function (:mod:`wskan.kan.symmetry`) they show:

    - ``"raw"``: [w_b, w_s, c] (paper, eq. 5). It shows all of them.
    - ``"folded"``: [w_b, w_s c] (:func:`wskan.kan.fold`). It does not show scales.
    - ``"gauge"``: [w_b, w_s c minus its mean], and the means as biases of neurons (:func:`wskan.kan.canonicalize`).
      It shows neither scales, shifts nor signs. Radial basis functions and wavelets do not have this form, because
      they do not contain the constants.
    - ``"function"``: values and slopes of the edge function at 12 points spread over its domain
      (:func:`wskan.kan.edge_functions`), for any parametrisation. It does not show scales. Shifts change values only.
    - ``"observed"``: values of the edge function at its neuron's activations at the probes. It shows neither scales,
      bases nor grids. It shows shifts, and signs only at edges of negated neurons.

    Args:
        population: K KANs.
        form: one of the five.
        probed: responses of the KANs to the probes, for ``"observed"``.
        inputs: describe the KANs after this map of their inputs. ``"function"`` applies scale and shift; other forms
            ignore it.

    Raises:
        DataError: The form is unknown, ``"gauge"`` for a basis without constants, or ``"observed"`` without probes.
    """
    if form not in FORMS:
        raise DataError(f"form must be one of {', '.join(FORMS)}, got {form!r:.100}")
    if form == "observed":
        if probed is None or not probed.edges[0].shape[-1]:
            raise DataError("the form observed describes edges at probes, but there are none")
        return EdgeFeatures(edges=probed.edges, population=population)
    if form == "function":
        move = () if inputs is None else (inputs.scale, inputs.shift)
        return EdgeFeatures(edges=tuple(edge_function_tables(population, POINTS, *move)), population=population)
    if form == "gauge":
        gauge = canonicalize(population)
        edges = tuple(_parameters(layer, "base_weight") for layer in gauge.population.layers)
        return EdgeFeatures(edges=edges, biases=gauge.biases, population=gauge.population, negated=gauge.negated)
    if form == "folded":
        population = fold(population)
        return EdgeFeatures(
            edges=tuple(_parameters(layer, "base_weight") for layer in population.layers), population=population
        )
    edges = tuple(_parameters(layer, "base_weight", "spline_weight") for layer in population.layers)
    return EdgeFeatures(edges=edges, population=population)


def edge_dim(form: Form, spec: KANSpec) -> int:
    """Return the number F of features per edge in a form that reads weights."""
    return {
        "raw": spec.num_basis + 2,
        "folded": spec.num_basis + 1,
        "gauge": spec.num_basis + 1,
        "function": 2 * POINTS,
    }[form]


def _parameters(layer: Layer, *weights: str) -> Tensor:
    """Concatenate these weights and the coefficients; zero for masked edges."""
    features = torch.cat([*(getattr(layer, name).unsqueeze(-1) for name in weights), layer.coef], -1)
    return features.mul_(layer.mask.unsqueeze(-1))
