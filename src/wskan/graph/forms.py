"""In which form an edge is described: as it is stored, or so that symmetries of KANs show less."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

import torch
from torch import Tensor

from wskan.errors import DataError
from wskan.kan import KANSpec, Layer, Population, edge_functions, fix_gauge, fold

Form = Literal["raw", "folded", "gauge", "function"]
FORMS: tuple[str, ...] = get_args(Form)
POINTS = 12  # at which a function is described


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Described:
    """What a form says of K KANs.

    Attributes:
        edges: ``[K, n_l, n_{l+1}, F]`` a layer, zero for a masked edge.
        biases: ``[K, n_{l+1}]`` a layer, of the neurons that it leads to; None in a form without.
        population: the KANs that edges and biases belong to: their grids are those of the form.
    """

    edges: tuple[Tensor, ...]
    biases: tuple[Tensor, ...] | None = None
    population: Population


def describe(population: Population, form: Form) -> Described:
    """Features of the edges in one of four forms.

    - ``"raw"``: [w_b, w_s, c] (paper, eq. 5). Every symmetry shows.
    - ``"folded"``: [w_b, w_s c] (:func:`wskan.kan.fold`). No scale shows.
    - ``"gauge"``: [w_b, w_s c less its mean], and the means as biases of neurons (:func:`wskan.kan.fix_gauge`). Neither scale nor shift nor sign shows. Not for radial basis functions
      and wavelets, which hold no constant.
    - ``"function"``: values and slopes of the edge's function at 12 points spread over its domain (:func:`wskan.kan.edge_functions`): for any parametrisation. No scale shows, and a
      shift in the values alone.

    Raises:
        DataError: an unknown form, or ``"gauge"`` for a basis that holds no constant.
    """
    if form not in FORMS:
        raise DataError(f"form must be one of {', '.join(FORMS)}, got {form!r:.100}")
    if form == "function":
        pairs = edge_functions(population, POINTS)
        return Described(edges=tuple(torch.cat(pair, -1) for pair in pairs), population=population)
    if form == "gauge":
        gauge = fix_gauge(population)
        edges = tuple(_parameters(layer, "base_weight") for layer in gauge.population.layers)
        return Described(edges=edges, biases=gauge.biases, population=gauge.population)
    if form == "folded":
        population = fold(population)
        return Described(
            edges=tuple(_parameters(layer, "base_weight") for layer in population.layers), population=population
        )
    edges = tuple(_parameters(layer, "base_weight", "spline_weight") for layer in population.layers)
    return Described(edges=edges, population=population)


def edge_dim(form: Form, spec: KANSpec) -> int:
    """Number F of features of an edge."""
    return {
        "raw": spec.num_basis + 2,
        "folded": spec.num_basis + 1,
        "gauge": spec.num_basis + 1,
        "function": 2 * POINTS,
    }[form]


def _parameters(layer: Layer, *weights: str) -> Tensor:
    features = torch.cat([*(getattr(layer, name).unsqueeze(-1) for name in weights), layer.coef], -1)
    return features.mul_(layer.mask.unsqueeze(-1))
