"""WS-KAN (paper, section 3.3) on dense layered graphs."""

import dataclasses
import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from wskan.errors import ShapeError
from wskan.graph import KANGraph, edge_positions, node_positions, num_edge_positions, num_node_positions
from wskan.models.base import MetaNetwork, register_model
from wskan.models.evaluating import spread_inputs
from wskan.models.observed import observed
from wskan.models.ops.edge_linear import EdgeLinear
from wskan.models.ops.edge_mlp import edge_mlp
from wskan.models.ops.layers import MLP, Dropout, LayerNorm, compute_dtype
from wskan.models.ws_kan_config import WSKANConfig
from wskan.models.ws_kan_layer import Embedding, WSKANLayer


@register_model("ws_kan", WSKANConfig)
class WSKAN(MetaNetwork):
    """WS-KAN, the graph meta-network of the paper. See :class:`wskan.models.MetaNetwork` for inputs and outputs.

    The graph readout reads the means over input, hidden and output nodes. The edge readout is an MLP of an edge and its
    endpoints. All hidden neurons of a layer are treated alike, so permuting them does not change the graph readout and
    permutes the edge readout.

    Graphs may have any hidden widths. With positional encodings, they need the inputs and outputs of ``config.widths``;
    if their depth differs, they take the positions of layers at the same relative depth
    (:func:`wskan.graph.node_positions`).

    Raises:
        ShapeError: The graphs have other numbers of inputs or outputs.

    Example:
        >>> from wskan.graph import FeatureConfig, kan_graph
        >>> from wskan.kan import KANSpec, Population
        >>> from wskan.models import WSKAN, WSKANConfig
        >>> spec, features = KANSpec(widths=(2, 5, 1)), FeatureConfig()
        >>> kans = Population.init(spec, seeds=[0, 1, 2])
        >>> config = WSKANConfig(widths=spec.widths, edge_dim=features.edge_dim(spec), out_dim=10, hidden=24)
        >>> WSKAN(config)(kan_graph(kans, features)).shape
        torch.Size([3, 10])
    """

    config: WSKANConfig

    def __init__(self, config: WSKANConfig) -> None:
        super().__init__(config)
        hidden, (edge_dim, node_dim, _) = config.hidden, config.observed
        self.probes = None
        if config.learned_probes:
            self.probes = nn.Parameter(spread_inputs(config.learned_probes, config.widths[0]))
        self.node_embedding = nn.Linear(node_dim, hidden) if node_dim else None
        self.node_constant = nn.Parameter(torch.zeros(hidden))  # added to features and position of every node
        self.edge_embedding = nn.Linear(edge_dim, hidden)
        self.node_position = self.edge_position = None
        if config.positional_encoding:
            self.node_position = nn.Embedding(num_node_positions(config.widths), hidden)
            self.edge_position = nn.Embedding(num_edge_positions(config.widths), hidden)
        self.layers = nn.ModuleList(
            WSKANLayer(
                hidden,
                config.dropout,
                backward_messages=config.backward_messages,
                update_edges=config.readout == "edge"
                or index < config.num_layers - 1,  # the graph readout does not read the last ones
            )
            for index in range(config.num_layers)
        )
        self.edge_norm = LayerNorm(hidden) if config.readout == "edge" else None
        self.norm = LayerNorm(hidden if config.readout == "edge" else 3 * hidden)
        self.dropout = Dropout(config.dropout)
        self.head = MLP(3 * hidden, hidden, config.out_dim)

    def forward(self, graph: KANGraph) -> Tensor | list[Tensor]:
        """Return ``[B, out_dim]``, or ``[B, n_l, n_{l+1}, out_dim]`` per layer with the edge readout."""
        nodes, edges, embedding = self.embed(graph)
        masks = [None if mask is None else mask.unsqueeze(-1).to(nodes.dtype) for mask in graph.edge_mask]
        degrees = _degrees(graph, masks, nodes)
        for layer in self.layers:
            if self.config.checkpoint_activations and torch.is_grad_enabled():
                nodes, edges = checkpoint(layer, nodes, edges, masks, degrees, embedding, use_reentrant=False)
            else:
                nodes, edges = layer(nodes, edges, masks, degrees, embedding)
            embedding = None
        if self.edge_norm is not None:
            return self._edge_readout(self.norm(nodes), edges, graph.widths)
        pooled = _pool(nodes, graph)
        out: Tensor = self.head(self.dropout(self.norm(pooled)))
        return out

    def observe(self, graph: KANGraph) -> KANGraph:
        """Return the graphs themselves, or activations of their KANs at the learned probes."""
        return graph if self.probes is None else observed(graph, self.config, self.probes)

    def embed(self, graph: KANGraph) -> tuple[Tensor, Sequence[Tensor], Embedding | None]:
        """Embed features and positions of nodes and edges.

        Returns:
            First states of nodes ``[B, N, h]``, first states of edges ``[B, n_l, n_{l+1}, h]`` per layer, and None. If
            the positions of each layer's edges depend on one endpoint only, it returns features of edges instead of
            states, and the map from features to states.
        """
        self.check(graph.widths[0], graph.widths[-1])
        graph = self._hide_inside(self.standardize(self.observe(graph)))
        nodes = self._embed_nodes(graph)
        weight, offsets = self.edge_embedding.weight, self._edge_offsets(graph.widths, nodes)
        if all(1 in offset.shape[:2] for offset in offsets):
            return nodes, graph.edges, Embedding(weight, offsets)
        states = [F.linear(edges, weight) + offset for edges, offset in zip(graph.edges, offsets, strict=True)]
        return nodes, states, None

    def _embed_nodes(self, graph: KANGraph) -> Tensor:
        dtype = compute_dtype(graph.edges[0])
        nodes = self.node_constant.to(dtype).expand(len(graph), sum(graph.widths), -1)
        if self.node_embedding is not None:
            nodes = nodes + self.node_embedding(torch.cat(graph.nodes, 1))
        if self.node_position is not None:
            positions = node_positions(graph.widths, len(self.config.widths) - 1)
            nodes = nodes + _lookup(self.node_position, torch.cat(positions), nodes)
        return nodes

    def _edge_offsets(self, widths: Sequence[int], nodes: Tensor) -> list[Tensor]:
        """Return bias plus position of each layer's edges, ``[n_l or 1, n_{l+1} or 1, h]``, in the dtype of nodes."""
        bias = self.edge_embedding.bias.to(nodes.dtype).expand(1, 1, -1)
        if self.edge_position is None:
            return [bias] * (len(widths) - 1)
        positions = edge_positions(widths, len(self.config.widths) - 1)
        if len(positions) > 1:  # edges of one endpoint share their position
            positions = (positions[0][:, :1], *(p[:1, :1] for p in positions[1:-1]), positions[-1][:1])
        return [bias + _lookup(self.edge_position, position, nodes) for position in positions]

    def _hide_inside(self, graph: KANGraph) -> KANGraph:
        """Replace features of some graphs by their means, except at outputs, in training with ``inner_dropout``."""
        if not self.training or not self.config.inner_dropout:
            return graph
        keep = (torch.rand(len(graph), device=graph.edges[0].device) >= self.config.inner_dropout).to(graph.edges[0])
        hidden = (nodes * keep[:, None, None] for nodes in graph.nodes[1:-1])
        return dataclasses.replace(
            graph,
            edges=tuple(edges * keep[:, None, None, None] for edges in graph.edges),
            nodes=(graph.nodes[0], *hidden, graph.nodes[-1]),
        )

    def _edge_readout(self, v: Tensor, edges: Sequence[Tensor], widths: Sequence[int]) -> list[Tensor]:
        """Apply the head, an MLP of (source, target, edge)."""
        assert self.edge_norm is not None
        first, h = self.head.first, v.shape[-1]
        sources = torch.split(F.linear(v, first.weight[:, :h], first.bias), list(widths), 1)
        targets = torch.split(F.linear(v, first.weight[:, h : 2 * h]), list(widths), 1)
        outputs = []
        for edge, source, target in zip(edges, sources[:-1], targets[1:], strict=True):
            layer = EdgeLinear(first.weight[:, 2 * h :], source, target)
            outputs.append(edge_mlp(edge, self.edge_norm, layer, self.head.second))
        return outputs

    def check(self, inputs: int, outputs: int) -> None:
        """Raise if the model has not learned the positions of graphs with these numbers of inputs and outputs.

        Raises:
            ShapeError: The numbers differ from those of ``config.widths``, and there are positional encodings.
        """
        learned = (self.config.widths[0], self.config.widths[-1])
        if self.config.positional_encoding and (inputs, outputs) != learned:
            raise ShapeError(
                f"graphs have (inputs, outputs) {(inputs, outputs)}, but this model has positions for {learned}"
            )


def _lookup(embedding: nn.Embedding, positions: Tensor, like: Tensor) -> Tensor:
    """Look up in the dtype of the states, so that autocast keeps them narrow."""
    out: Tensor = embedding(positions.to(like.device)).to(like.dtype)
    return out


def _degrees(graph: KANGraph, masks: Sequence[Tensor | None], like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the numbers of incoming and of outgoing edges of each node, ``[1 or B, N, 1]``."""
    size = len(graph) if any(mask is not None for mask in masks) else 1
    incoming, outgoing = [like.new_zeros(size, graph.widths[0], 1)], []
    for (n, m), mask in zip(itertools.pairwise(graph.widths), masks, strict=True):
        incoming.append(like.new_full((size, m, 1), n) if mask is None else mask.sum(1))
        outgoing.append(like.new_full((size, n, 1), m) if mask is None else mask.sum(2))
    outgoing.append(like.new_zeros(size, graph.widths[-1], 1))
    return torch.cat(incoming, 1), torch.cat(outgoing, 1)


def _pool(nodes: Tensor, graph: KANGraph) -> Tensor:
    """Return the means over existing input, hidden and output nodes, ``[B, 3h]``; zero if there are none."""
    widths = graph.widths
    ranges = list(itertools.pairwise([0, widths[0], sum(widths[:-1]), sum(widths)]))
    if all(mask is None for mask in graph.node_mask):
        return torch.cat([nodes[:, a:b].sum(1) / max(b - a, 1) for a, b in ranges], -1)
    exists = torch.cat([graph.full_node_mask(index) for index in range(len(widths))], 1)
    weight = exists.unsqueeze(-1).to(nodes.dtype)
    parts = [((nodes * weight)[:, a:b].sum(1), weight[:, a:b].sum(1)) for a, b in ranges]
    return torch.cat([total / count.clamp_min(1) for total, count in parts], -1)
