"""One round of message passing of WS-KAN (paper, section 3.3) on dense layered graphs."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wskan.models.ops.edge_linear import EdgeLinear
from wskan.models.ops.edge_messages import edge_messages
from wskan.models.ops.layers import MLP, Dropout, LayerNorm, activation


class Embedding(NamedTuple):
    """The map from features of edges to their first states, ``weight @ feature + offset``.

    Operations that are linear in the states can then run on the features, which are fewer.

    Attributes:
        weight: ``[h, F]``.
        offsets: for each layer, ``[n_l or 1, n_{l+1} or 1, h]``.
    """

    weight: Tensor
    offsets: Sequence[Tensor]

    def states(self, index: int, features: Tensor) -> EdgeLinear:
        """Return the layer that computes the states of one layer's edges from their features."""
        size, n, m, _ = features.shape
        offset = self.offsets[index]
        if offset.shape[1] == 1:
            return EdgeLinear(self.weight, offset[:, 0].expand(size, n, -1), None)
        return EdgeLinear(self.weight, None, offset[0].expand(size, m, -1))

    def compose(self, index: int, layer: EdgeLinear, size: int) -> EdgeLinear:
        """Return ``layer`` as a function of the features of edges instead of their first states."""
        source, target = layer.source, layer.target
        shift = F.linear(self.offsets[index], layer.weight)
        if len(shift) > 1 or (target is None and shift.shape[1] == 1):  # it depends on the source, or on neither end
            shift = shift[:, 0].expand(size, -1, -1)
            source = shift if source is None else source + shift
        else:
            shift = shift[0].expand(size, -1, -1)
            target = shift if target is None else target + shift
        return EdgeLinear(layer.weight @ self.weight, source, target)


FirstLayers = tuple[EdgeLinear, EdgeLinear | None, EdgeLinear | None]
"""The first layers of MLP_v^(1;F)(source, e), MLP_v^(1;B)(target, e) and MLP_e(source, target, e)."""


class WSKANLayer(nn.Module):
    """One round of message passing (steps a to d) with residual connections and layer normalisation of the nodes.

    The messages of a complete bipartite block need no gather and no scatter. With W[v; e] = W_v v + W_e e, nodes are
    projected once and broadcast over their edges. A sum commutes with a linear layer, so the second layer is applied
    after the sum. Two linear layers in a row are multiplied first. Edges are not normalised, because that costs a tenth
    of the time and learned more slowly (docs/decisions).
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
        """Return the new states of nodes and edges.

        Args:
            nodes: ``[B, N, h]``, all layers of the KAN one after the other.
            edges: ``[B, n_l, n_{l+1}, h]`` per layer, or features ``[B, n_l, n_{l+1}, F]`` with ``embedding``.
            masks: ``[B, n_l, n_{l+1}, 1]`` per layer, or None where all edges exist.
            degrees: the numbers of incoming and of outgoing edges of each node, ``[1 or B, N, 1]``.
            embedding: the map from features to first states, if ``edges`` are features.
        """
        v, widths = self.node_norm(nodes), [edges[0].shape[1], *(edge.shape[2] for edge in edges)]
        into, outof, new_edges = [torch.zeros_like(v[:, : widths[0]])], list[Tensor](), []
        second = None if self.edge_update is None else self.edge_update.second
        blocks = zip(edges, masks, self._first_layers(v, widths, embedding), strict=True)
        for index, (edge, mask, first_layers) in enumerate(blocks):
            states = None if embedding is None else embedding.states(index, edge)
            forward, backward, new_edge = edge_messages(edge, mask, *first_layers, second, states)  # c
            into.append(forward)
            outof += [] if backward is None else [backward]
            new_edges.append(new_edge)
        outof.append(torch.zeros_like(v[:, -widths[-1] :]))
        updates = [(self.forward_message, self.forward_update, into, degrees[0])]  # a
        if self.backward_message is not None and self.backward_update is not None:
            updates.append((self.backward_message, self.backward_update, outof, degrees[1]))  # b
        return nodes + self.dropout(self._update_nodes(v, updates)), new_edges  # d

    def _update_nodes(self, v: Tensor, updates: Sequence[tuple[MLP, MLP, list[Tensor], Tensor]]) -> Tensor:
        """Return MLP_v^(3)(v, MLP_v^(2;F)(v, sum), MLP_v^(2;B)(v, sum)).

        Each update holds MLP_v^(1), MLP_v^(2), the activations of MLP_v^(1) summed over neighbours, and their number.
        """
        x = v.flatten(0, 1)
        outer = self.node_update.first.weight.chunk(1 + len(updates), 1)
        bias: Tensor = self.node_update.first.bias
        parts = list[tuple[Tensor, Tensor]]()
        for columns, (message, update, sums, degree) in zip(outer[1:], updates, strict=True):
            of_node, of_sum = update.first.weight.chunk(2, 1)
            first = F.linear(x, of_node, update.first.bias)
            first = torch.addmm(first, torch.cat(sums, 1).flatten(0, 1), (of_sum @ message.second.weight).t())
            # the bias of a message counts once per edge
            first = first.view_as(v) + degree * (of_sum @ message.second.bias).to(degree.dtype)
            parts.append((activation(first).flatten(0, 1), columns @ update.second.weight))
            bias = bias + columns @ update.second.bias
        total = F.linear(x, outer[0], bias)
        # separate products: the gradients of concatenated parts would be strided, which takes PyTorch a third longer
        for part, weight in parts:
            total = torch.addmm(total, part, weight.t())
        out: Tensor = self.node_update.second(activation(total)).view_as(v)
        return out

    def _first_layers(self, v: Tensor, widths: Sequence[int], embedding: Embedding | None) -> list[FirstLayers]:
        """Return the first layers that read each block; all nodes are projected in one product."""
        h = v.shape[-1]
        of_nodes: dict[str, tuple[Tensor, Tensor]] = {}
        of_nodes["forward"] = (self.forward_message.first.weight[:, :h], self.forward_message.first.bias)
        if self.backward_message is not None:
            of_nodes["backward"] = (self.backward_message.first.weight[:, :h], self.backward_message.first.bias)
        if self.edge_update is not None:
            linear = self.edge_update.first
            of_nodes["update_source"] = (linear.weight[:, :h], linear.bias)
            of_nodes["update_target"] = (linear.weight[:, h : 2 * h], torch.zeros_like(linear.bias))
        weight, bias = (torch.cat(parts) for parts in zip(*of_nodes.values(), strict=True))
        projected = torch.split(F.linear(v, weight, bias), h, -1)
        nodes = {name: torch.split(part, list(widths), 1) for name, part in zip(of_nodes, projected, strict=True)}
        mlps = (self.forward_message, self.backward_message, self.edge_update)
        forward_weight, backward_weight, update_weight = (
            None if mlp is None else mlp.first.weight[:, -h:].to(projected[0].dtype) for mlp in mlps
        )
        assert forward_weight is not None

        def first_layer(index: int, weight: Tensor, source: Tensor | None, target: Tensor | None) -> EdgeLinear:
            layer = EdgeLinear(weight, source, target)
            return layer if embedding is None else embedding.compose(index, layer, len(v))

        blocks = list[FirstLayers]()
        for i in range(len(widths) - 1):
            forward, backward, update = first_layer(i, forward_weight, nodes["forward"][i], None), None, None
            if backward_weight is not None:
                backward = first_layer(i, backward_weight, None, nodes["backward"][i + 1])
            if update_weight is not None:
                source, target = nodes["update_source"][i], nodes["update_target"][i + 1]
                update = first_layer(i, update_weight, source, target)
            blocks.append((forward, backward, update))
        return blocks
