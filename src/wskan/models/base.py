"""What every model shares: a configuration that can be written down, standardised inputs, saving and loading."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import torch
from huggingface_hub import ModelCard, PyTorchModelHubMixin, snapshot_download
from safetensors.torch import save
from torch import Tensor, nn

from wskan.errors import DataError, ShapeError, reason
from wskan.files import write_atomically
from wskan.graph import FeatureConfig, FeatureStatistics, KANGraph
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


class Standardize(nn.Module):
    """Shift and scale each feature of a graph by the statistics of the training split; absent edges stay zero, as do the biases of inputs and the knots of outputs.

    Part of every model, so that a saved one takes graphs as they come.
    """

    edge_mean: Tensor
    edge_std: Tensor
    node_mean: Tensor
    node_std: Tensor

    def __init__(self, edge_dim: int, node_dim: int, bias_dim: int = 0) -> None:
        super().__init__()
        self.bias_dim = bias_dim
        for name, value in (
            ("edge_mean", torch.zeros(edge_dim)),
            ("edge_std", torch.ones(edge_dim)),
            ("node_mean", torch.zeros(node_dim)),
            ("node_std", torch.ones(node_dim)),
        ):
            self.register_buffer(name, value)

    def set(self, statistics: FeatureStatistics) -> None:
        """Take over measured statistics.

        Raises:
            ShapeError: they are of other features.
        """
        for name, value in vars(statistics).items():
            buffer = getattr(self, name)
            if value.shape != buffer.shape:
                raise ShapeError(f"{name} has shape {tuple(value.shape)}, the model takes {tuple(buffer.shape)}")
            buffer.copy_(value)

    def forward(self, graph: KANGraph) -> KANGraph:
        """Standardised graphs."""
        if (graph.edge_dim, graph.node_dim) != (len(self.edge_mean), len(self.node_mean)):
            raise ShapeError(
                f"graphs have {graph.edge_dim} features an edge and {graph.node_dim} a node, "
                f"the model takes {len(self.edge_mean)} and {len(self.node_mean)}"
            )
        edges = [self._edges(e) for e in graph.edges]
        edges = [
            e if mask is None else e.mul_(mask.unsqueeze(-1)) for e, mask in zip(edges, graph.edge_mask, strict=True)
        ]
        nodes = [(v - self.node_mean) / self.node_std for v in graph.nodes]
        nodes[0] = torch.cat([graph.nodes[0][..., : self.bias_dim], nodes[0][..., self.bias_dim :]], -1)
        nodes[-1] = torch.cat([nodes[-1][..., : self.bias_dim], graph.nodes[-1][..., self.bias_dim :]], -1)
        nodes = [v if mask is None else v * mask.unsqueeze(-1) for v, mask in zip(nodes, graph.node_mask, strict=True)]
        return dataclasses.replace(graph, edges=tuple(edges), nodes=tuple(nodes))

    def _edges(self, features: Tensor) -> Tensor:
        """Of one layer. A row is all edges of a node: PyTorch takes several times longer over rows of ten numbers."""
        count, rows = features.shape[-2], features.flatten(-2)
        return (rows - self.edge_mean.repeat(count)).div_(self.edge_std.repeat(count)).view_as(features)


CARD = """---
{{ card_data }}
---

# {{ config.model }}

A model of `wskan` ([paper](https://arxiv.org/abs/2602.16316)). It reads the weights of Kolmogorov-Arnold networks, here of widths like {{ config.widths | list }},
with {{ config.edge_dim }} features an edge, and answers with {{ config.out_dim }} number{{ "" if config.out_dim == 1 else "s" }} for each {{ config.readout }}. `config.json` says how it is built; what it was trained on, and how well it
does, is in `run.json` of the folder of its run.

    from wskan.models import load_model

    model = load_model("FOLDER")  # takes wskan.graph.kan_graph(kans)
"""


class MetaNetwork(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="wskan",
    tags=["kolmogorov-arnold-networks", "weight-space-learning"],
    model_card_template=CARD,
):
    """Base of all models: takes a :class:`wskan.graph.KANGraph` of raw features.

    ``forward`` begins with ``graph = self.standardize(self.observe(graph))``, and returns ``[B, out_dim]`` for the
    graph read-out, or one ``[B, n_l, n_{l+1}, out_dim]`` a layer for the edge read-out.
    Saves and loads a folder (``save_pretrained``, ``from_pretrained``, or :func:`wskan.models.load_model`).
    """

    config: ModelConfig

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.standardize = Standardize(*config.observed)

    def observe(self, graph: KANGraph) -> KANGraph:
        """Give what the model reads of graphs before it is standardised: the same, unless it evaluates the KANs."""
        return graph

    @classmethod
    def from_pretrained(cls, name: str | Path, **options: Any) -> Self:  # type: ignore[override]
        """Load a model from a folder, or from the Hub, as :func:`wskan.models.load_model` does, with all its checks.

        Args:
            name: a folder, or a model of the Hub.
            options: of ``huggingface_hub.snapshot_download``, as ``revision``.

        Raises:
            DataError: files that are missing, damaged or not finite, or a model of another class.
        """
        from wskan.models.registry import load_model

        try:
            files = ["config.json", "model.safetensors"]
            folder = name if Path(name).is_dir() else snapshot_download(str(name), allow_patterns=files, **options)
        except Exception as error:  # no network, no such model, a name that the Hub has not
            raise DataError(f"{name} is not a folder, nor can it be had from the Hub ({reason(error)})") from error
        model = load_model(folder)
        if not isinstance(model, cls):
            raise DataError(f"{name} holds a {type(model).__name__}, not a {cls.__name__}")
        return model

    def generate_model_card(self, *args: Any, **kwargs: Any) -> ModelCard:
        """What the folder's ``README.md`` says."""
        return super().generate_model_card(*args, config=self.config.to_dict(), **kwargs)

    def save_pretrained(
        self,
        save_directory: str | Path,
        *,
        repo_id: str | None = None,
        push_to_hub: bool = False,
        model_card_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> str | None:
        """Write ``config.json``, ``model.safetensors`` and, if there is none, a model card.

        Hugging Face's own writer would follow links, and lose the old file where the disk is full.

        Raises:
            DataError: the folder cannot be written to.
        """
        folder = Path(save_directory)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        data = save(tensors, {"format": "pt"})
        write_atomically(folder / "model.safetensors", lambda path: path.write_bytes(data))
        text = json.dumps(self.config.to_dict(), sort_keys=True, indent=2)
        write_atomically(folder / "config.json", lambda path: path.write_text(text))
        if not (folder / "README.md").exists():
            card = str(self.generate_model_card(**model_card_kwargs or {}))
            write_atomically(folder / "README.md", lambda path: path.write_text(card, encoding="utf-8"))
        if not push_to_hub:
            return None
        return self.push_to_hub(repo_id=repo_id or folder.name, model_card_kwargs=model_card_kwargs, **kwargs)

    @property
    def num_parameters(self) -> int:
        """Number of trained parameters."""
        return sum(parameter.numel() for parameter in self.parameters())
