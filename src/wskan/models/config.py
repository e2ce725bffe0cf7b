"""The configuration that all models share."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, Self

from wskan.errors import DataError
from wskan.graph import FeatureConfig
from wskan.kan import KANSpec
from wskan.reading import boolean, build, number, shown, whole

# Limits checked before anything is allocated, because a configuration may come from an untrusted file.
MAX_WIDTH, MAX_HIDDEN, MAX_LAYERS = 65_536, 4_096, 64
FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The configuration that all models share.

    Args:
        model: name in :data:`wskan.models.MODELS`.
        widths: number of neurons of each layer of the KANs, inputs first. Graph models also take other hidden widths.
        edge_dim: number F of features per edge.
        node_dim: number D of features per node.
        bias_dim: number of leading node features that are biases, which inputs lack. The others are knots, which
            outputs lack.
        out_dim: number of predictions, per graph or per edge.
        readout: ``"graph"`` (invariant) or ``"edge"`` (equivariant).
        hidden: hidden dimension.
        num_layers: number of layers.
        dropout: probability of dropout.
        format_version: version of the format of saved models. Golden files in the tests keep old models loading.

    Raises:
        DataError: A value is out of range.
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
                f"model configuration: format version {shown(self.format_version)}, this wskan reads {FORMAT_VERSION}; "
                "update wskan"
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
        """Return edge_dim, node_dim and bias_dim of the graphs that :meth:`MetaNetwork.observe` returns."""
        return self.edge_dim, self.node_dim, self.bias_dim

    @classmethod
    def fields_of(cls, spec: KANSpec) -> dict[str, Any]:
        """Return the fields that describe the KANs a model evaluates, other than widths and dimensions."""
        return {}

    def check_kans(self, spec: KANSpec, features: FeatureConfig) -> None:
        """Raise if the model evaluates KANs and cannot evaluate these, or not with these features.

        Raises:
            DataError: The KANs or features do not fit the model.
        """

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types; the inverse of :meth:`from_dict`.

        ``bias_dim`` is omitted if it is 0, because names of older runs hash this dictionary without it.
        """
        data = {**dataclasses.asdict(self), "widths": list(self.widths)}
        return {name: value for name, value in data.items() if (name, value) != ("bias_dim", 0)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build from plain JSON types.

        Raises:
            DataError: Keys are unknown or missing, or values have the wrong type or are out of range.
        """
        return build(cls, data, cls.__name__)


def check_whole(name: str, value: object, low: int, high: int) -> None:
    """Raise if a value of a configuration is not a whole number in a range.

    Raises:
        DataError: The message names the value.
    """
    whole(value, f"model configuration: {name}", low, high)
