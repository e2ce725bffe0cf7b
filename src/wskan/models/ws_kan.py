"""WS-KAN (paper, section 3.3) on dense layered graphs."""

import dataclasses
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from wskan.errors import ShapeError
from wskan.graph import KANGraph, edge_positions, node_positions, num_edge_positions, num_node_positions
from wskan.models.base import MetaNetwork, ModelConfig
from wskan.models.blocks import MLP, LayerNorm
from wskan.models.messages import Half, edge_activations, edge_messages


@dataclasses.dataclass(frozen=True, kw_only=True)
class WSKANConfig(ModelConfig):
    """Configuration of :class:`WSKAN`; see :class:`wskan.models.ModelConfig` for what all models share.

    Args:
        positional_encoding: whether nodes and edges know their position (section 3.3); False is the ablation "no PE" (C.4).
        backward_messages: whether step b happens; False is the ablation "no bidirectional" (C.4).
        checkpoint_activations: recompute each layer in the backward pass: less memory, a third more time.
    """

    model: str = "ws_kan"
    positional_encoding: bool = True
    backward_messages: bool = True
    checkpoint_activations: bool = False


class WSKANLayer(nn.Module):
    """One round of message passing (section 3.3, steps a to d), with residual connections, and layer normalisation of the nodes.

    Edges are not normalised: that costs a tenth of the time and learned more slowly (docs/decisions.md).

    The messages of a complete bipartite block need no gather and no scatter: with W[v; e] = W_v v + W_e e, the node half is projected once a
    node and broadcast over its edges; and since a sum commutes with the second linear layer, that is applied after the sum.
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
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, nodes: Sequence[Tensor], edges: Sequence[Tensor], masks: Sequence[Tensor | None]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """nodes ``[B, n_l, h]``, edges ``[B, n_l, n_{l+1}, h]``, masks ``[B, n_l, n_{l+1}, 1]`` to new nodes and edges."""
        v = [self.node_norm(node) for node in nodes]
        into, outof, new_e = [torch.zeros_like(v[0])], [], []
        for i, mask in enumerate(masks):
            second = None if self.edge_update is None else self.edge_update.second
            messages = edge_messages(edges[i], mask, *self._halves(v[i], v[i + 1]), second)
            into.append(_linear_of_sum(self.forward_message.second, messages[0], mask, edges[i].shape[1], 1))
            if self.backward_message is not None and messages[1] is not None:
                outof.append(_linear_of_sum(self.backward_message.second, messages[1], mask, edges[i].shape[2], 2))
            new_e.append(messages[2])  # c
        parts = [v, [self.forward_update(torch.cat(x, -1)) for x in zip(v, into, strict=True)]]  # a
        if self.backward_update is not None:
            outof.append(torch.zeros_like(v[-1]))
            parts.append([self.backward_update(torch.cat(x, -1)) for x in zip(v, outof, strict=True)])  # b
        updates = [self.node_update(torch.cat(part, -1)) for part in zip(*parts, strict=True)]
        return [node + self.dropout(update) for node, update in zip(nodes, updates, strict=True)], new_e  # d

    def _halves(self, source: Tensor, target: Tensor) -> tuple[Half, Half | None, Half | None]:
        """First linear layers of MLP_v^(1;F)(source, e), MLP_v^(1;B)(target, e) and MLP_e(source, target, e), with the node halves done."""
        h, backward, update = source.shape[-1], None, None
        first = self.forward_message.first
        forward = Half(first.weight[:, h:], F.linear(source, first.weight[:, :h], first.bias), None)
        if self.backward_message is not None:
            first = self.backward_message.first
            backward = Half(first.weight[:, h:], None, F.linear(target, first.weight[:, :h], first.bias))
        if self.edge_update is not None:
            update = _edge_half(self.edge_update.first, source, target)
        return forward, backward, update


def _edge_half(first: nn.Linear, source: Tensor, target: Tensor) -> Half:
    """First linear layer of a perceptron of (source, target, e), with the node halves done."""
    h = source.shape[-1]
    from_source = F.linear(source, first.weight[:, :h], first.bias)
    return Half(first.weight[:, 2 * h :], from_source, F.linear(target, first.weight[:, h : 2 * h]))


def _linear_of_sum(linear: nn.Linear, total: Tensor, mask: Tensor | None, degree: int, dim: int) -> Tensor:
    """``sum(linear(message))`` from the sum of messages: the bias counts as often as there are edges."""
    return F.linear(total, linear.weight) + (degree if mask is None else mask.sum(dim)) * linear.bias


class WSKAN(MetaNetwork):
    """WS-KAN, the graph meta-network of the paper. See :class:`wskan.models.MetaNetwork` for what goes in and comes out.

    Graphs may have any hidden widths, but with positional encodings the depth, inputs and outputs of ``config.widths``. The graph read-out takes the means over
    input, hidden and output nodes, the edge read-out a perceptron of an edge and its endpoints. It never tells hidden neurons of a layer apart, so
    permuting them changes nothing (or permutes the edges).

    Raises:
        ShapeError: graphs of another depth, numbers of inputs or outputs.
    """

    config: WSKANConfig

    def __init__(self, config: WSKANConfig) -> None:
        super().__init__(config)
        hidden = config.hidden
        self.node_embedding = nn.Linear(config.node_dim, hidden) if config.node_dim else None
        self.node_constant = nn.Parameter(torch.zeros(hidden))  # what a node starts from beside features and position
        self.edge_embedding = nn.Linear(config.edge_dim, hidden)
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
        self.dropout = nn.Dropout(config.dropout)
        self.head = MLP(3 * hidden, hidden, config.out_dim)

    def forward(self, graph: KANGraph) -> Tensor | list[Tensor]:
        """``[B, out_dim]``, or one ``[B, n_l, n_{l+1}, out_dim]`` a layer with the edge read-out."""
        nodes, edges = self.embed(graph)
        masks = [None if mask is None else mask.unsqueeze(-1).to(edges[0].dtype) for mask in graph.edge_mask]
        for layer in self.layers:
            if self.config.checkpoint_activations and torch.is_grad_enabled():
                nodes, edges = checkpoint(layer, nodes, edges, masks, use_reentrant=False)
            else:
                nodes, edges = layer(nodes, edges, masks)
        if self.edge_norm is not None:
            v, e = [self.norm(node) for node in nodes], [self.edge_norm(edge) for edge in edges]
            halves = [_edge_half(self.head.first, v[i], v[i + 1]) for i in range(len(e))]
            return [self.head.second(edge_activations(edge, half)) for edge, half in zip(e, halves, strict=True)]
        kinds = [slice(0, 1), slice(1, -1), slice(-1, None)]
        pooled = torch.cat([_mean(nodes[kind], graph.node_mask[kind], nodes[0]) for kind in kinds], -1)
        out: Tensor = self.head(self.dropout(self.norm(pooled)))
        return out

    def embed(self, graph: KANGraph) -> tuple[list[Tensor], list[Tensor]]:
        """First states of nodes and edges: features and positions."""
        self.check(graph.num_layers, graph.widths[0], graph.widths[-1])
        graph = self.standardize(graph)
        edges = [self.edge_embedding(edge) for edge in graph.edges]
        nodes = [self.node_constant.expand(*node.shape[:2], -1) for node in graph.nodes]
        if self.node_embedding is not None:
            nodes = [node + self.node_embedding(x) for node, x in zip(nodes, graph.nodes, strict=True)]
        if self.node_position is not None and self.edge_position is not None:
            positions = node_positions(graph.widths), edge_positions(graph.widths)
            nodes = [v + _lookup(self.node_position, p, v) for v, p in zip(nodes, positions[0], strict=True)]
            edges = [e + _lookup(self.edge_position, p, e) for e, p in zip(edges, positions[1], strict=True)]
        return nodes, edges

    def check(self, depth: int, inputs: int, outputs: int) -> None:
        """Refuse graphs whose positions this model has not learned."""
        known = (len(self.config.widths) - 1, self.config.widths[0], self.config.widths[-1])
        if self.config.positional_encoding and (depth, inputs, outputs) != known:
            raise ShapeError(
                f"graphs have (layers, inputs, outputs) {(depth, inputs, outputs)}, the positions of this model are for {known}"
            )


def _lookup(embedding: nn.Embedding, positions: Tensor, like: Tensor) -> Tensor:
    """In the dtype of the states, so that autocast keeps them narrow."""
    out: Tensor = embedding(positions.to(like.device)).to(like.dtype)
    return out


def _mean(nodes: Sequence[Tensor], masks: Sequence[Tensor | None], like: Tensor) -> Tensor:
    """Mean over all existing nodes of some layers, ``[B, h]``; zero if there are none."""
    if not nodes:
        return torch.zeros_like(like[:, 0])
    sums = [v.sum(1) if m is None else (v * m.unsqueeze(-1)).sum(1) for v, m in zip(nodes, masks, strict=True)]
    counts = [
        v.new_full((len(v), 1), v.shape[1]) if m is None else m.sum(1, keepdim=True)
        for v, m in zip(nodes, masks, strict=True)
    ]
    return torch.stack(sums).sum(0) / torch.stack([count.to(sums[0].dtype) for count in counts]).sum(0).clamp_min(1)
