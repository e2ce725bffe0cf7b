"""From KANs to KAN-graphs: what describes an edge and a node."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from wskan.errors import DataError
from wskan.graph.forms import FORMS, Described, Form, describe, edge_dim
from wskan.graph.kan_graph import KANGraph
from wskan.kan import KANSpec, Population
from wskan.kan.canonical import gauge_constant


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureConfig:
    """Choice of features.

    Args:
        form: of the description of an edge, see :func:`wskan.graph.forms.describe`; from ``"function"`` INRs are classified best (results/forms), ``"raw"`` is eq. 5 of the paper. With
            ``"gauge"``, neurons have a bias.
        knots: describe each neuron that has outgoing edges by the G + 1 knots of its grid on the domain; eq. 5 alone forgets an adapted grid.

    Raises:
        DataError: an unknown form, or knots that are neither true nor false.
    """

    form: Form = "function"
    knots: bool = False

    def __post_init__(self) -> None:
        if self.form not in FORMS or not isinstance(self.knots, bool):
            raise DataError(
                f"features: form must be one of {', '.join(FORMS)} and knots true or false, got {self.form!r:.100}, {self.knots!r:.100}"
            )

    def check(self, spec: KANSpec) -> None:
        """Refuse KANs that have no such features.

        Raises:
            DataError: ``"gauge"`` for a basis that holds no constant.
        """
        if self.form == "gauge":
            gauge_constant(spec.functions)

    def edge_dim(self, spec: KANSpec) -> int:
        """Number F of features of an edge."""
        return edge_dim(self.form, spec)

    @property
    def bias_dim(self) -> int:
        """How many of the features of a node, the first ones, are biases."""
        return 1 if self.form == "gauge" else 0

    def node_dim(self, spec: KANSpec) -> int:
        """Number D of features of a node: its bias, if it has one, and its knots, if asked for."""
        return self.bias_dim + (spec.grid + 1 if self.knots else 0)

    def meaning(self, spec: KANSpec) -> dict[str, Any]:
        """What of a specification the features depend on: KANs that agree in it can be read by one model. Functions do not depend on how they are parametrised."""
        names = () if self.form == "function" else ("basis", "grid", "degree", "domain", "base")
        return {name: getattr(spec, name) for name in (*names, *(("grid",) if self.knots else ()))}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, the inverse of :meth:`from_dict`. The form is left out where it is eq. 5: names of runs are older than the choice."""
        data = dataclasses.asdict(self)
        return {name: value for name, value in data.items() if (name, value) != ("form", "raw")}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FeatureConfig:
        """Read a choice from JSON types.

        Raises:
            DataError: unknown keys or values.
        """
        if not isinstance(data, Mapping) or not set(data) <= {"form", "knots"}:
            raise DataError(f"features are an object with any of 'form' and 'knots', got {data!r:.200}")
        return cls(**{"form": "raw", "knots": False, **data})


def kan_graph(population: Population, config: FeatureConfig | None = None) -> KANGraph:
    """The KAN-graphs of a population (paper, section 3.2).

    Features of an edge are values and slopes of its function, or [w_b, w_s, c_0, ..., c_{C-1}] (eq. 5) or another form if that is chosen; zero if it is masked. Those of a node
    are its bias, if the form has any, and its knots, if asked for; inputs have no bias and outputs no knots: there, zero stands.
    """
    config = config or FeatureConfig()
    described = describe(population, config.form)
    masks = [layer.mask != 0 for layer in population.layers]
    return KANGraph(
        edges=described.edges,
        nodes=tuple(_node_features(described, index, config) for index in range(len(population.spec.widths))),
        edge_mask=tuple(None if bool(mask.all()) else mask for mask in masks),
        node_mask=(None,) * len(population.spec.widths),
    )


def _node_features(described: Described, index: int, config: FeatureConfig) -> Tensor:
    """``[K, n_l, D]`` of layer ``index``."""
    population, spec = described.population, described.population.spec
    like, shape = described.edges[0], (len(population), spec.widths[index])
    parts = [like.new_zeros(*shape, 0)]
    if described.biases is not None:
        parts.append(described.biases[index - 1].unsqueeze(-1) if index > 0 else like.new_zeros(*shape, 1))
    if config.knots:
        inner = like.new_zeros(spec.grid + 1)
        if index < spec.num_layers:
            inner = spec.functions.inner(population.layers[index].knots).to(like)
        parts.append(inner.expand(*shape, -1))
    return torch.cat(parts, -1)
