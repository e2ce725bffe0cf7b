"""WS-KAN (paper, section 3.3) on dense layered graphs."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import NamedTuple

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
from wskan.models.ops.edge_messages import edge_messages
from wskan.models.ops.edge_mlp import edge_mlp
from wskan.models.ops.layers import MLP, Dropout, LayerNorm, activation, compute_dtype
from wskan.models.ws_kan_config import WSKANConfig


class Embedding(NamedTuple):
    """How the first states of edges follow from their features: ``weight @ feature + offset``, for what is linear in them to be done on the features, which are fewer.

    Attributes:
        weight: ``[h, F]``.
        offsets: ``[n_l or 1, n_{l+1} or 1, h]`` of each layer.
    """

    weight: Tensor
    offsets: Sequence[Tensor]


class WSKANLayer(nn.Module):
    """One round of message passing (section 3.3, steps a to d), with residual connections, and layer normalisation of the nodes.

    The messages of a complete bipartite block need no gather and no scatter: with W[v; e] = W_v v + W_e e, the node half is projected once a
    node and broadcast over its edges; and since a sum commutes with the second linear layer, that is applied after the sum. Where two linear
    layers follow each other they are multiplied first.
    Edges are not normalised: that costs a tenth of the time and learned more slowly (docs/decisions.md).
    """

    def __init__(self, hidden: int, dropout: float, *, backward_messages: bool, update_edges: bool) -> None:
        super().__init__()
        self.node_norm = LayerNorm(hidden)
        self.forward_message = MLP(2 * hidden, hidden, hidden)  # MLP_v^(1;F)
        self.forward_update = MLP(2 * hidden, hidden, hidden)  # MLP_v^(2;F)
        self.backward_message = MLP(2 * hidden, hidden, hidden) if backward_messages else None  # MLP_v^(1;B)
        self.backward_update = MLP(2 * hidden, hidden, hidden) if backward_messages else None  # MLP_v^(2;B)
        self.edge_update = MLP(3 * hidden, hidden, hidden) if update_edges else None  # MLP_e
        self.node_update = MLP((3 if backward_messages else 2) * hidden, hidden, hidden)  # MLP_v^(3)
        self.dropout = Dropout(dropout)

    def forward(
        self,
        nodes: Tensor,
        edges: Sequence[Tensor],
        masks: Sequence[Tensor | None],
        degrees: tuple[Tensor, Tensor],
        embedding: Embedding | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """New states of nodes and edges.

        Args:
            nodes: ``[B, N, h]``, all layers of the KAN one after the other.
            edges: ``[B, n_l, n_{l+1}, h]`` for each layer of edges; features ``[B, n_l, n_{l+1}, F]`` with ``embedding``.
            masks: ``[B, n_l, n_{l+1}, 1]`` each, or None.
            degrees: numbers of incoming and of outgoing edges of each node, ``[1 or B, N, 1]``.
            embedding: how the first states follow from ``edges``, if those are features.
        """
        v, widths = self.node_norm(nodes), [edges[0].shape[1], *(edge.shape[2] for edge in edges)]
        into, outof, new_edges = [torch.zeros_like(v[:, : widths[0]])], list[Tensor](), []
        second = None if self.edge_update is None else self.edge_update.second
        for i, (edge, mask, halves) in enumerate(zip(edges, masks, self._halves(v, widths, embedding), strict=True)):
            states = None if embedding is None else _first_states(embedding, i, edge)
            forward, backward, new_edge = edge_messages(edge, mask, *halves, second, states)  # c
            into.append(forward)
            outof += [] if backward is None else [backward]
            new_edges.append(new_edge)
        outof.append(torch.zeros_like(v[:, -widths[-1] :]))
        updates = [(self.forward_message, self.forward_update, into, degrees[0])]  # a
        if self.backward_message is not None and self.backward_update is not None:
            updates.append((self.backward_message, self.backward_update, outof, degrees[1]))  # b
        return nodes + self.dropout(self._update_nodes(v, updates)), new_edges  # d

    def _update_nodes(self, v: Tensor, updates: Sequence[tuple[MLP, MLP, list[Tensor], Tensor]]) -> Tensor:
        """MLP_v^(3)(v, MLP_v^(2;F)(v, sum), MLP_v^(2;B)(v, sum)), given the activations of MLP_v^(1) summed over neighbours."""
        x = v.flatten(0, 1)
        outer = self.node_update.first.weight.chunk(1 + len(updates), 1)
        bias: Tensor = self.node_update.first.bias
        parts = list[tuple[Tensor, Tensor]]()
        for columns, (message, update, sums, degree) in zip(outer[1:], updates, strict=True):
            own, received = update.first.weight.chunk(2, 1)
            first = F.linear(x, own, update.first.bias)
            first = torch.addmm(first, torch.cat(sums, 1).flatten(0, 1), (received @ message.second.weight).t())
            # the bias of a message counts as often as there are edges
            first = first.view_as(v) + degree * (received @ message.second.bias).to(degree.dtype)
            parts.append((activation(first).flatten(0, 1), columns @ update.second.weight))
            bias = bias + columns @ update.second.bias
        total = F.linear(x, outer[0], bias)
        # one after the other: gradients of parts side by side would be strided, which takes PyTorch a third longer
        for part, weight in parts:
            total = torch.addmm(total, part, weight.t())
        out: Tensor = self.node_update.second(activation(total)).view_as(v)
        return out

    def _halves(
        self, v: Tensor, widths: Sequence[int], embedding: Embedding | None
    ) -> list[tuple[EdgeLinear, EdgeLinear | None, EdgeLinear | None]]:
        """For each block, the first linear layers of MLP_v^(1;F)(source, e), MLP_v^(1;B)(target, e) and MLP_e(source, target, e), node halves done."""
        h, mlps = v.shape[-1], [self.forward_message, self.backward_message, self.edge_update]
        columns: list[tuple[Tensor, Tensor]] = [
            (mlp.first.weight[:, :h], mlp.first.bias) for mlp in mlps if mlp is not None
        ]
        if self.edge_update is not None:
            columns.append((self.edge_update.first.weight[:, h : 2 * h], torch.zeros_like(self.edge_update.first.bias)))
        weight, bias = (torch.cat(parts) for parts in zip(*columns, strict=True))
        done = [torch.split(part, list(widths), 1) for part in torch.split(F.linear(v, weight, bias), h, -1)]
        own = [None if mlp is None else mlp.first.weight[:, -h:].to(done[0][0].dtype) for mlp in mlps]
        blocks: list[tuple[EdgeLinear, EdgeLinear | None, EdgeLinear | None]] = []
        for i in range(len(widths) - 1):
            backward = None if own[1] is None else EdgeLinear(own[1], None, done[1][i + 1])
            update = None if own[2] is None else EdgeLinear(own[2], done[-2][i], done[-1][i + 1])
            halves = (EdgeLinear(own[0], done[0][i], None), backward, update)  # type: ignore[arg-type]
            if embedding is not None:
                halves = tuple(None if half is None else _of_features(half, embedding, i, len(v)) for half in halves)  # type: ignore[assignment]
            blocks.append(halves)
        return blocks


def _first_states(embedding: Embedding, i: int, features: Tensor) -> EdgeLinear:
    """The layer that makes states of the features of one layer's edges."""
    size, n, m, _ = features.shape
    offset = embedding.offsets[i]
    if offset.shape[1] == 1:
        return EdgeLinear(embedding.weight, offset[:, 0].expand(size, n, -1), None)
    return EdgeLinear(embedding.weight, None, offset[0].expand(size, m, -1))


def _of_features(half: EdgeLinear, embedding: Embedding, i: int, size: int) -> EdgeLinear:
    """The same first layer, reading the features of edges in place of their first states."""
    source, target = half.source, half.target
    shift = F.linear(embedding.offsets[i], half.weight)
    if len(shift) > 1 or (target is None and shift.shape[1] == 1):  # the shift differs among sources, or not at all
        shift = shift[:, 0].expand(size, -1, -1)
        source = shift if source is None else source + shift
    else:
        shift = shift[0].expand(size, -1, -1)
        target = shift if target is None else target + shift
    return EdgeLinear(half.weight @ embedding.weight, source, target)


@register_model("ws_kan", WSKANConfig)
class WSKAN(MetaNetwork):
    """WS-KAN, the graph meta-network of the paper. See :class:`wskan.models.MetaNetwork` for what goes in and comes out.

    Graphs may have any hidden widths and, with positional encodings, the inputs and outputs of ``config.widths``; of another depth, they take the positions of the
    layers at the same relative depth (:func:`wskan.graph.node_positions`). The graph read-out takes the means over
    input, hidden and output nodes, the edge read-out a perceptron of an edge and its endpoints. It never tells hidden neurons of a layer apart, so
    permuting them changes nothing (or permutes the edges).

    Raises:
        ShapeError: graphs of other numbers of inputs or outputs.
    """

    config: WSKANConfig

    def __init__(self, config: WSKANConfig) -> None:
        super().__init__(config)
        hidden, (edge_dim, node_dim, _) = config.hidden, config.observed
        self.probes = None
        if config.learned_probes:
            self.probes = nn.Parameter(spread_inputs(config.learned_probes, config.widths[0]))
        self.node_embedding = nn.Linear(node_dim, hidden) if node_dim else None
        self.node_constant = nn.Parameter(torch.zeros(hidden))  # what a node starts from beside features and position
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
                or index < config.num_layers - 1,  # nobody would read the last ones
            )
            for index in range(config.num_layers)
        )
        self.edge_norm = LayerNorm(hidden) if config.readout == "edge" else None
        self.norm = LayerNorm(hidden if config.readout == "edge" else 3 * hidden)
        self.dropout = Dropout(config.dropout)
        self.head = MLP(3 * hidden, hidden, config.out_dim)

    def forward(self, graph: KANGraph) -> Tensor | list[Tensor]:
        """``[B, out_dim]``, or one ``[B, n_l, n_{l+1}, out_dim]`` a layer with the edge read-out."""
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
        pooled = _pool(nodes, graph.node_mask, graph.widths)
        out: Tensor = self.head(self.dropout(self.norm(pooled)))
        return out

    def observe(self, graph: KANGraph) -> KANGraph:
        """The graphs themselves, or what their KANs do at the learned probes."""
        return graph if self.probes is None else observed(graph, self.config, self.probes)

    def embed(self, graph: KANGraph) -> tuple[Tensor, Sequence[Tensor], Embedding | None]:
        """First states of nodes ``[B, N, h]`` and edges ``[B, n_l, n_{l+1}, h]``: features and positions. Where the position of an edge follows from one endpoint, features of edges and how their states follow."""
        self.check(graph.widths[0], graph.widths[-1])
        layers = len(self.config.widths) - 1
        graph = self._hide_inside(self.standardize(self.observe(graph)))
        dtype = compute_dtype(graph.edges[0])
        nodes = self.node_constant.to(dtype).expand(len(graph), sum(graph.widths), -1)
        offsets = [self.edge_embedding.bias.to(dtype).expand(1, 1, -1)] * len(graph.edges)
        if self.node_embedding is not None:
            nodes = nodes + self.node_embedding(torch.cat(graph.nodes, 1))
        if self.node_position is not None and self.edge_position is not None:
            nodes = nodes + _lookup(self.node_position, torch.cat(node_positions(graph.widths, layers)), nodes)
            positions = edge_positions(graph.widths, layers)
            if len(positions) > 1:  # they follow from one endpoint
                positions = (positions[0][:, :1], *(p[:1, :1] for p in positions[1:-1]), positions[-1][:1])
            offsets = [
                offset + _lookup(self.edge_position, p, nodes) for offset, p in zip(offsets, positions, strict=True)
            ]
        if all(1 in offset.shape[:2] for offset in offsets):
            return nodes, graph.edges, Embedding(self.edge_embedding.weight, offsets)
        states = [F.linear(x, self.edge_embedding.weight) + o for x, o in zip(graph.edges, offsets, strict=True)]
        return nodes, states, None

    def _hide_inside(self, graph: KANGraph) -> KANGraph:
        """Show some graphs by their outputs alone, in training with ``inner_dropout``."""
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
        """A perceptron of (source, target, edge)."""
        assert self.edge_norm is not None
        first, h = self.head.first, v.shape[-1]
        source = torch.split(F.linear(v, first.weight[:, :h], first.bias), list(widths), 1)
        target = torch.split(F.linear(v, first.weight[:, h : 2 * h]), list(widths), 1)
        halves = (EdgeLinear(first.weight[:, 2 * h :], *nodes) for nodes in zip(source[:-1], target[1:], strict=True))
        blocks = zip(edges, halves, strict=True)
        return [edge_mlp(edge, self.edge_norm, half, self.head.second) for edge, half in blocks]

    def check(self, inputs: int, outputs: int) -> None:
        """Refuse graphs whose positions this model has not learned."""
        known = (self.config.widths[0], self.config.widths[-1])
        if self.config.positional_encoding and (inputs, outputs) != known:
            raise ShapeError(
                f"graphs have (inputs, outputs) {(inputs, outputs)}, the positions of this model are for {known}"
            )


def _lookup(embedding: nn.Embedding, positions: Tensor, like: Tensor) -> Tensor:
    """In the dtype of the states, so that autocast keeps them narrow."""
    out: Tensor = embedding(positions.to(like.device)).to(like.dtype)
    return out


def _degrees(graph: KANGraph, masks: Sequence[Tensor | None], like: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers of incoming and of outgoing edges of each node, ``[1 or B, N, 1]``."""
    size, w = len(graph) if any(mask is not None for mask in masks) else 1, graph.widths

    def degrees(dim: int) -> list[Tensor]:
        full = [
            like.new_full((size, w[i + 1] if dim == 1 else w[i], 1), w[i] if dim == 1 else w[i + 1])
            for i in range(len(masks))
        ]
        return [constant if mask is None else mask.sum(dim) for constant, mask in zip(full, masks, strict=True)]

    incoming = torch.cat([like.new_zeros(size, w[0], 1), *degrees(1)], 1)
    return incoming, torch.cat([*degrees(2), like.new_zeros(size, w[-1], 1)], 1)


def _pool(nodes: Tensor, masks: Sequence[Tensor | None], widths: Sequence[int]) -> Tensor:
    """Means over existing input, hidden and output nodes, ``[B, 3h]``; zero where there are none."""
    ends = [0, widths[0], sum(widths[:-1]), sum(widths)]
    if all(mask is None for mask in masks):
        sums = [nodes[:, a:b].sum(1) / max(b - a, 1) for a, b in itertools.pairwise(ends)]
        return torch.cat(sums, -1)
    exists = [
        nodes.new_ones(len(nodes), n) if mask is None else mask.to(nodes.dtype)
        for n, mask in zip(widths, masks, strict=True)
    ]
    weight = torch.cat(exists, 1).unsqueeze(-1)
    parts = [((nodes * weight)[:, a:b].sum(1), weight[:, a:b].sum(1)) for a, b in itertools.pairwise(ends)]
    return torch.cat([total / count.clamp_min(1) for total, count in parts], -1)
