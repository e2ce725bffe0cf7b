"""Build KAN-graphs from KANs, with a choice of edge and node features."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from wskan.errors import DataError
from wskan.graph.forms import FORMS, EdgeFeatures, Form, edge_dim, edge_features
from wskan.graph.kan_graph import KANGraph
from wskan.graph.probes import FEW, OBSERVED, InputMap, probe_inputs
from wskan.kan import KANSpec, Population, Responses, attribution, responses
from wskan.kan.attribution import LEAST_SCORE
from wskan.kan.canonical import gauge_constant
from wskan.kan.spec import MAX_DOMAIN
from wskan.reading import boolean, build, mapping, number, shown, whole

MAX_PROBES = 4_096


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureConfig:
    """The choice of edge and node features.

    With ``probes=0``, features are read from the weights. With probes, each KAN is evaluated.

    Args:
        form: form of the edge features (:func:`wskan.graph.forms.edge_features`). ``"raw"`` is eq. 5 of the paper. With
            ``"gauge"``, neurons have a bias.
        knots: describe each neuron with outgoing edges by the G + 1 knots of its grid on the domain. Without them,
            adapted grids are lost.
        attribution: also describe each edge by the logarithm of its attribution score, which needs only the KAN's own
            grids (:func:`wskan.kan.attribution`).
        probes: number P of inputs at which the KAN is evaluated. Each neuron except the inputs is described by its
            activations there. The form ``"observed"`` needs at least one.
        probe_domain: interval on which KANs with at most 8 inputs are probed; by default that of image coordinates.
            Other KANs are probed at quantiles of their own grids (:func:`wskan.graph.probe_inputs`).

    Raises:
        DataError: The form is unknown, or a value has the wrong type or is out of range.

    Example:
        >>> from wskan.graph import FeatureConfig
        >>> from wskan.kan import KANSpec
        >>> spec = KANSpec(widths=(2, 5, 1), grid=5, degree=3)
        >>> FeatureConfig(form="raw", knots=True).edge_dim(spec)  # w_b, w_s and 8 coefficients
        10
        >>> FeatureConfig(form="raw", knots=True).node_dim(spec)  # 6 knots
        6
    """

    form: Form = "function"
    knots: bool = False
    attribution: bool = False
    probes: int = 0
    probe_domain: tuple[float, float] = (-1.0, 1.0)

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise DataError(f"features: form must be one of {', '.join(FORMS)}, got {shown(self.form)}")
        for name in ("knots", "attribution"):
            boolean(getattr(self, name), f"features: {name}")
        whole(self.probes, "features: probes", 0, MAX_PROBES)
        if self.form == "observed" and not self.probes:
            raise DataError("features: the form observed describes edges at probes; set probes to at least 1")
        object.__setattr__(self, "probe_domain", _interval(self.probe_domain))

    @classmethod
    def recommended(cls, spec: KANSpec) -> FeatureConfig:
        """Return the most accurate features: 196 probes for at most 8 inputs, functions for more (results/ideas)."""
        return cls(form="observed", probes=196) if spec.widths[0] <= FEW else cls()

    def check(self, spec: KANSpec) -> None:
        """Raise if KANs do not have these features.

        Raises:
            DataError: The form is ``"gauge"`` and the basis does not contain the constants.
        """
        if self.form == "gauge":
            gauge_constant(spec.basis_functions)

    def edge_dim(self, spec: KANSpec) -> int:
        """Return the number F of features per edge."""
        described = min(OBSERVED, self.probes) if self.form == "observed" else edge_dim(self.form, spec)
        return described + self.attribution

    @property
    def bias_dim(self) -> int:
        """Return the number of leading node features that inputs lack: the bias, if any, and activations at probes."""
        return (1 if self.form == "gauge" else 0) + self.probes

    def node_dim(self, spec: KANSpec) -> int:
        """Return the number D of features per node: biases and activations, then knots if chosen."""
        return self.bias_dim + (spec.grid + 1 if self.knots else 0)

    def compatibility_key(self, spec: KANSpec) -> dict[str, Any]:
        """Return what the features depend on in a specification; one model can read all KANs that share it.

        The forms ``"function"`` and ``"observed"`` do not depend on the parametrisation.
        """
        names = () if self.form in ("function", "observed") else ("basis", "grid", "degree", "domain", "base")
        return {name: getattr(spec, name) for name in (*names, *(("grid",) if self.knots else ()))}

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types; the inverse of :meth:`from_dict`.

        Options that older runs lacked are omitted at their old value, because names of runs hash this dictionary.
        """
        data: dict[str, Any] = {"knots": self.knots}
        if self.form != "raw":
            data["form"] = self.form
        if self.attribution:
            data["attribution"] = True
        if self.probes:
            data |= {"probes": self.probes, "probe_domain": list(self.probe_domain)}
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FeatureConfig:
        """Build from plain JSON types.

        Raises:
            DataError: There are unknown keys or values.
        """
        earlier = {"form": "raw", "knots": False}  # the defaults of the first version
        return build(cls, data, "features", **(earlier | dict(mapping(data, "features"))))


def kan_graph(population: Population, config: FeatureConfig | None = None, inputs: InputMap | None = None) -> KANGraph:
    """Build the KAN-graphs of a population (paper, section 3.2).

    By default, the features of an edge are values and slopes of its function. Other forms include [w_b, w_s, c_0, ...,
    c_{C-1}] (eq. 5). Features of masked edges are zero. The features of a node are its bias if the form has one, its
    activations at the probes, and its knots if chosen. Biases and activations of inputs and knots of outputs are zero.

    Args:
        population: K KANs.
        config: choice of features.
        inputs: describe the KANs after this map of their inputs. It moves the probes. Of the forms that read weights,
            only ``"function"`` applies it, without the rotation.

    Returns:
        K graphs. Masks are None where all edges exist.

    Raises:
        DataError: The KANs do not have these features.

    Example:
        >>> from wskan.graph import kan_graph
        >>> from wskan.kan import KANSpec, Population
        >>> kans = Population.init(KANSpec(widths=(2, 5, 1)), seeds=[0, 1, 2])
        >>> kan_graph(kans)  # 12 values and 12 slopes per edge
        KANGraph(edges=[(3, 2, 5, 24), (3, 5, 1, 24)], nodes=[(3, 2, 0), (3, 5, 0), (3, 1, 0)])
    """
    config = config or FeatureConfig()
    probed = _probe(population, config, inputs)
    described = edge_features(population, config.form, probed, inputs)
    masks = [layer.mask != 0 for layer in population.layers]
    return KANGraph(
        edges=_with_attribution(population, described.edges) if config.attribution else described.edges,
        nodes=tuple(_node_features(described, index, config, probed) for index in range(len(population.spec.widths))),
        edge_mask=tuple(None if bool(mask.all()) else mask for mask in masks),
        node_mask=(None,) * len(population.spec.widths),
    )


def _with_attribution(population: Population, edges: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Append the logarithm of each edge's score; zero for masked edges."""
    scores = [score.clamp_min(LEAST_SCORE).log() for score in attribution(population).edges]
    masks = [layer.mask != 0 for layer in population.layers]
    return tuple(
        torch.cat([edge, (score * mask).to(edge).unsqueeze(-1)], -1)
        for edge, score, mask in zip(edges, scores, masks, strict=True)
    )


def _probe(population: Population, config: FeatureConfig, inputs: InputMap | None) -> Responses | None:
    if not config.probes:
        return None
    x = probe_inputs(population, config.probes, config.probe_domain)
    x = x if inputs is None else inputs(x, config.probe_domain)
    return responses(population, x, min(OBSERVED, config.probes) if config.form == "observed" else 0)


def _node_features(described: EdgeFeatures, index: int, config: FeatureConfig, probed: Responses | None) -> Tensor:
    """Return ``[K, n_l, D]`` for layer ``index``."""
    population, spec = described.population, described.population.spec
    like, shape = described.edges[0], (len(population), spec.widths[index])
    parts = [like.new_zeros(*shape, 0)]
    if index == 0:
        parts.append(like.new_zeros(*shape, config.bias_dim))
    elif described.biases is not None:
        parts.append(described.biases[index - 1].unsqueeze(-1))
    if index > 0 and probed is not None:
        parts.append(described.oriented(probed.nodes[index - 1].to(like), index))
    if config.knots:
        inner = like.new_zeros(spec.grid + 1)
        if index < spec.num_layers:
            inner = spec.basis_functions.inner(population.layers[index].knots).to(like)
        parts.append(inner.expand(*shape, -1))
    return torch.cat(parts, -1)


def _interval(value: object) -> tuple[float, float]:
    """Return two finite numbers, the smaller first."""
    numbers = list(value) if isinstance(value, tuple | list) else []
    if len(numbers) != 2:
        raise DataError(f"features: probe_domain must be two numbers, got {shown(value)}")
    low, high = (float(number(end, "features: an end of probe_domain", -MAX_DOMAIN, MAX_DOMAIN)) for end in numbers)
    if not low < high:
        raise DataError(f"features: probe_domain must be two numbers a < b, got {shown(value)}")
    return low, high
