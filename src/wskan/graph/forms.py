"""In which form an edge is described: as it is stored, or so that symmetries of KANs show less."""

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
POINTS = 12  # at which a function is described


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class EdgeFeatures:
    """What a form says of K KANs.

    Attributes:
        edges: ``[K, n_l, n_{l+1}, F]`` a layer, zero for a masked edge.
        biases: ``[K, n_{l+1}]`` a layer, of the neurons that it leads to; None in a form without.
        population: the KANs that edges and biases belong to: their grids are those of the form.
        negated: ``[K, n_l]`` bool for each hidden layer, which of its neurons the form negates; None if it negates none.
    """

    edges: tuple[Tensor, ...]
    biases: tuple[Tensor, ...] | None = None
    population: Population
    negated: tuple[Tensor, ...] | None = None

    def oriented(self, activations: Tensor, index: int) -> Tensor:
        """Give activations ``[K, n_l, P]`` of the neurons of layer ``index`` the sign that they have in this form."""
        if self.negated is None or index > len(self.negated):
            return activations
        return torch.where(self.negated[index - 1].unsqueeze(-1), -activations, activations)


def edge_features(
    population: Population, form: Form, seen: Responses | None = None, inputs: InputMap | None = None
) -> EdgeFeatures:
    """Describe the edges in one of five forms.

    - ``"raw"``: [w_b, w_s, c] (paper, eq. 5). Every symmetry shows.
    - ``"folded"``: [w_b, w_s c] (:func:`wskan.kan.fold`). No scale shows.
    - ``"gauge"``: [w_b, w_s c less its mean], and the means as biases of neurons (:func:`wskan.kan.canonicalize`). Neither scale nor shift nor sign shows. Not for radial basis functions
      and wavelets, which hold no constant.
    - ``"function"``: values and slopes of the edge's function at 12 points spread over its domain (:func:`wskan.kan.edge_functions`): for any parametrisation. No scale shows, and a
      shift in the values alone.
    - ``"observed"``: the edge's values at what its neuron does at the probes. Neither scale, basis nor grid shows; a shift does, and a sign only where the edge is that of a
      negated neuron.

    Args:
        population: K KANs.
        form: which.
        seen: what the KANs do at the probes, for ``"observed"``.
        inputs: describe the KANs after this map of their inputs; ``"function"`` takes scale and shift, other forms leave it out.

    Raises:
        DataError: an unknown form, ``"gauge"`` for a basis that holds no constant, or ``"observed"`` without probes.
    """
    if form not in FORMS:
        raise DataError(f"form must be one of {', '.join(FORMS)}, got {form!r:.100}")
    if form == "observed":
        if seen is None or not seen.edges[0].shape[-1]:
            raise DataError("the form observed describes edges at probes, and there are none")
        return EdgeFeatures(edges=seen.edges, population=population)
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
    """Number F of features of an edge, in a form that reads weights."""
    return {
        "raw": spec.num_basis + 2,
        "folded": spec.num_basis + 1,
        "gauge": spec.num_basis + 1,
        "function": 2 * POINTS,
    }[form]


def _parameters(layer: Layer, *weights: str) -> Tensor:
    features = torch.cat([*(getattr(layer, name).unsqueeze(-1) for name in weights), layer.coef], -1)
    return features.mul_(layer.mask.unsqueeze(-1))
