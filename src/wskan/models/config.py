"""Configuration that every model shares."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, Self

from wskan.errors import DataError, reason
from wskan.graph import FeatureConfig
from wskan.kan import KANSpec
from wskan.reading import boolean, number, shown, whole

# Caps checked before anything is allocated: a configuration may come from a file of a stranger's.
MAX_WIDTH, MAX_HIDDEN, MAX_LAYERS = 65_536, 4_096, 64
FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What every model needs to know.

    Args:
        model: its name in :data:`wskan.models.MODELS`.
        widths: neurons a layer of the KANs it is made for, inputs first. Graph models take other hidden widths, too.
        edge_dim: number F of features of an edge.
        node_dim: number D of features of a node.
        bias_dim: how many of them, the first ones, are biases, which inputs lack; the others are knots, which outputs lack.
        out_dim: numbers predicted, for each graph or for each edge.
        readout: ``"graph"`` (invariant) or ``"edge"`` (equivariant).
        hidden: hidden dimension.
        num_layers: layers.
        dropout: probability.
        format_version: of saved models; golden files in the tests keep old ones loading.

    Raises:
        DataError: a value is out of range.
    """

    model: str
    widths: tuple[int, ...]
    edge_dim: int
    node_dim: int = 0
    bias_dim: int = 0
    out_dim: int
    readout: Literal["graph", "edge"] = "graph"
    hidden: int = 128
    num_layers: int = 4
    dropout: float = 0.2
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        if self.format_version != FORMAT_VERSION:
            raise DataError(
                f"model configuration: format version {shown(self.format_version)}, this wskan reads {FORMAT_VERSION}; update it"
            )
        if not isinstance(self.widths, tuple | list) or not 2 <= len(self.widths) <= MAX_LAYERS + 1:
            raise DataError(
                f"model configuration: widths must be 2 to {MAX_LAYERS + 1} numbers, got {shown(self.widths)}"
            )
        object.__setattr__(self, "widths", tuple(self.widths))
        bounds = {
            "edge_dim": (1, MAX_WIDTH),
            "node_dim": (0, MAX_WIDTH),
            "bias_dim": (0, MAX_WIDTH),
            "out_dim": (1, MAX_WIDTH),
            "hidden": (1, MAX_HIDDEN),
            "num_layers": (1, MAX_LAYERS),
        }
        values = [(name, getattr(self, name), *bound) for name, bound in bounds.items()]
        for name, value, low, high in [*values, *(("a width", width, 1, MAX_WIDTH) for width in self.widths)]:
            check_whole(name, value, low, high)
        if self.bias_dim > self.node_dim:
            raise DataError(
                f"model configuration: {self.bias_dim} of {self.node_dim} features of a node cannot be biases"
            )
        if number(self.dropout, "model configuration: dropout", 0, 1) == 1:
            raise DataError("model configuration: dropout must be below 1")
        if self.readout not in ("graph", "edge"):
            raise DataError(f"model configuration: readout must be 'graph' or 'edge', got {shown(self.readout)}")
        for field in dataclasses.fields(self):
            if field.type is bool:
                boolean(getattr(self, field.name), f"model configuration: {field.name}")

    @property
    def observed(self) -> tuple[int, int, int]:
        """Dimensions of what :meth:`MetaNetwork.observe` returns: edge_dim, node_dim and bias_dim of it."""
        return self.edge_dim, self.node_dim, self.bias_dim

    @classmethod
    def fields_of(cls, spec: KANSpec) -> dict[str, Any]:
        """Give the fields that say, beside widths and dimensions, which KANs a model evaluates; most evaluate none."""
        return {}

    def check_kans(self, spec: KANSpec, features: FeatureConfig) -> None:
        """Refuse KANs, or a choice of features, that a model cannot evaluate; others take any.

        Raises:
            DataError: such KANs or features.
        """

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, the inverse of :meth:`from_dict`. Without biases, nothing is said of them: names of runs are older than they are."""
        data = {**dataclasses.asdict(self), "widths": list(self.widths)}
        return {name: value for name, value in data.items() if (name, value) != ("bias_dim", 0)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a configuration from JSON types.

        Raises:
            DataError: unknown or missing keys, wrong types, or values out of range.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(data, Mapping) or not set(data) <= known:
            raise DataError(
                f"a configuration of {cls.__name__} is an object with any of {sorted(known)}, got {shown(data)}"
            )
        try:
            return cls(**data)
        except TypeError as error:
            raise DataError(f"malformed {cls.__name__} {shown(data)}: {reason(error)}") from error


def check_whole(name: str, value: object, low: int, high: int) -> None:
    """Refuse a value of a configuration that is not a whole number in a range.

    Raises:
        DataError: naming it.
    """
    whole(value, f"model configuration: {name}", low, high)
