"""The simplest baseline: a perceptron on the flattened parameters (paper, section 5)."""

import dataclasses
import itertools

import torch
from torch import Tensor, nn

from wskan.errors import ShapeError
from wskan.graph import KANGraph
from wskan.models.base import MetaNetwork, ModelConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlatMLPConfig(ModelConfig):
    """Configuration of :class:`FlatMLP`; see :class:`wskan.models.ModelConfig`."""

    model: str = "mlp"


class FlatMLP(MetaNetwork):
    """A multilayer perceptron on all features of all edges and nodes, one after the other. Not invariant to anything.

    Raises:
        ShapeError: graphs of other widths than ``config.widths``, or filled-up ones.
    """

    def __init__(self, config: FlatMLPConfig) -> None:
        super().__init__(config)
        self.edges = [n * m for n, m in itertools.pairwise(config.widths)]
        size = sum(self.edges) * config.edge_dim + sum(config.widths[:-1]) * config.node_dim
        out = config.out_dim * (sum(self.edges) if config.readout == "edge" else 1)
        widths = [size, *(config.hidden for _ in range(config.num_layers - 1)), out]
        blocks: list[nn.Module] = []
        for index, (n, m) in enumerate(itertools.pairwise(widths)):
            blocks.append(nn.Linear(n, m))
            if index < config.num_layers - 1:
                blocks += [nn.ReLU(), nn.Dropout(config.dropout)]
        self.network = nn.Sequential(*blocks)

    def forward(self, graph: KANGraph) -> Tensor | list[Tensor]:
        """``[B, out_dim]``, or one ``[B, n_l, n_{l+1}, out_dim]`` a layer with the edge read-out."""
        if graph.widths != tuple(self.config.widths) or any(mask is not None for mask in graph.node_mask):
            raise ShapeError(f"graphs have widths {graph.widths}, this model takes {self.config.widths} only")
        graph = self.standardize(graph)
        flat = torch.cat([tensor.flatten(1) for tensor in (*graph.edges, *graph.nodes[:-1])], 1)
        out: Tensor = self.network(flat)
        if self.config.readout == "graph":
            return out
        parts = torch.split(out, [count * self.config.out_dim for count in self.edges], 1)
        return [part.view(*edges.shape[:3], -1) for part, edges in zip(parts, graph.edges, strict=True)]
