"""WS-KAN once more, word for word from section 3.3, on PyTorch Geometric: the reference, and a way in for any KAN-graph from there."""

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import MessagePassing, global_mean_pool

from wskan.errors import DataError, ShapeError
from wskan.models.ops.layers import MLP
from wskan.models.ws_kan import WSKAN, WSKANLayer


class _Messages(MessagePassing):  # type: ignore[misc]
    """Sum over neighbours j of MLP(v_j, e)."""

    def __init__(self, mlp: MLP, flow: str) -> None:
        super().__init__(aggr="add", flow=flow)
        self.mlp = mlp

    def forward(self, v: Tensor, edge_index: Tensor, e: Tensor) -> Tensor:
        out: Tensor = self.propagate(edge_index, v=v, e=e)
        return out

    def message(self, v_j: Tensor, e: Tensor) -> Tensor:
        out: Tensor = self.mlp(torch.cat([v_j, e], -1))
        return out


class _Layer(nn.Module):
    """Steps a to d, in the order of the paper; its parameters are those of a dense layer."""

    def __init__(self, layer: WSKANLayer) -> None:
        super().__init__()
        self.dense = layer
        self.forward_sum = _Messages(layer.forward_message, "source_to_target")
        self.backward_sum = None
        if layer.backward_message is not None:
            self.backward_sum = _Messages(layer.backward_message, "target_to_source")

    def forward(self, nodes: Tensor, edges: Tensor, edge_index: Tensor) -> tuple[Tensor, Tensor]:
        dense = self.dense
        v, e = dense.node_norm(nodes), edges
        parts = [v, dense.forward_update(torch.cat([v, self.forward_sum(v, edge_index, e)], -1))]  # a
        if self.backward_sum is not None and dense.backward_update is not None:
            parts.append(dense.backward_update(torch.cat([v, self.backward_sum(v, edge_index, e)], -1)))  # b
        if dense.edge_update is not None:
            source, target = edge_index
            edges = edges + dense.edge_update(torch.cat([v[source], v[target], e], -1))  # c
        return nodes + dense.dropout(dense.node_update(torch.cat(parts, -1))), edges  # d


class WSKANPyG(nn.Module):
    """The same function as a :class:`wskan.models.WSKAN`, whose parameters it shares.

    Args:
        model: the dense model; training either trains both.

    Raises:
        DataError: a model with learned probes, which evaluates dense graphs.
    """

    def __init__(self, model: WSKAN) -> None:
        super().__init__()
        if model.probes is not None:
            raise DataError("learned probes need dense graphs: use the WSKAN itself, or learned_probes=0")
        self.model = model
        self.layers = nn.ModuleList(_Layer(layer) for layer in model.layers)  # type: ignore[arg-type]

    def forward(self, data: Data) -> Tensor:
        """Data or a batch of it, as :func:`wskan.graph.to_pyg` makes it, to ``[B, out_dim]`` or, with the edge read-out, ``[m, out_dim]``.

        All graphs of a batch have the same depth, inputs and outputs.
        """
        model, ends = self.model, data.edge_index
        depth = int(data.layer.max())
        batch = data.batch if data.batch is not None else torch.zeros_like(data.layer)
        count, first = int(batch.max()) + 1, data.layer[batch == 0]
        model.check(*(int((first == index).sum()) for index in (0, depth)))
        if model.node_position is not None and depth != len(model.config.widths) - 1:
            raise ShapeError(f"graphs have {depth} layers, the positions of this model are for {model.config.widths}")
        nodes, edges = self._embed(data, depth)
        for layer in self.layers:
            nodes, edges = layer(nodes, edges, ends)
        if model.config.readout == "edge":
            v, e = model.norm(nodes), model.edge_norm(edges)  # type: ignore[misc]
            edge_out: Tensor = model.head(torch.cat([v[ends[0]], v[ends[1]], e], -1))
            return edge_out
        kinds = (data.layer == 0, (data.layer > 0) & (data.layer < depth), data.layer == depth)
        pooled = torch.cat([global_mean_pool(nodes[kind], batch[kind], count) for kind in kinds], -1)
        out: Tensor = model.head(model.dropout(model.norm(pooled)))
        return out

    def _embed(self, data: Data, depth: int) -> tuple[Tensor, Tensor]:
        model, scale = self.model, self.model.standardize
        edges = model.edge_embedding((data.edge_attr - scale.edge_mean) / scale.edge_std)
        nodes = model.node_constant.expand(len(data.layer), -1)
        if model.node_embedding is not None:
            first = torch.arange(data.x.shape[1], device=data.x.device) < scale.bias_dim  # biases, which inputs lack
            lacks = torch.where(first, (data.layer == 0).unsqueeze(-1), (data.layer == depth).unsqueeze(-1))
            x = torch.where(lacks, data.x, (data.x - scale.node_mean) / scale.node_std)
            nodes = nodes + model.node_embedding(x)
        if model.node_position is not None and model.edge_position is not None:
            nodes, edges = (
                nodes + model.node_position(data.node_position),
                edges + model.edge_position(data.edge_position),
            )
        return nodes, edges
