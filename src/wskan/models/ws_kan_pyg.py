"""WS-KAN on PyTorch Geometric, exactly as in section 3.3 of the paper: the reference implementation."""

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import MessagePassing, global_mean_pool

from wskan.errors import DataError, ShapeError
from wskan.models.ops.layers import MLP
from wskan.models.ws_kan import WSKAN
from wskan.models.ws_kan_layer import WSKANLayer


class _Messages(MessagePassing):  # type: ignore[misc]
    """Sums MLP(v_j, e) over neighbours j."""

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
    """Steps a to d in the order of the paper, with the parameters of a dense layer."""

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
    """The same function as a :class:`wskan.models.WSKAN`, on graphs of PyTorch Geometric.

    Args:
        model: the dense model. Both share their parameters, so training one trains the other.

    Raises:
        DataError: The model has learned probes, which need dense graphs.
    """

    def __init__(self, model: WSKAN) -> None:
        super().__init__()
        if model.probes is not None:
            raise DataError("learned probes need dense graphs: use the WSKAN itself, or learned_probes=0")
        self.model = model
        self.layers = nn.ModuleList(_Layer(layer) for layer in model.layers)  # type: ignore[arg-type]

    def forward(self, data: Data) -> Tensor:
        """Return ``[B, out_dim]``, or ``[m, out_dim]`` with the edge readout.

        Args:
            data: data from :func:`wskan.graph.to_pyg`, or a batch of it. All graphs of a batch have the same depth,
                inputs and outputs.

        Raises:
            ShapeError: The positional encodings are for other depths, inputs or outputs.
        """
        model, edge_index = self.model, data.edge_index
        depth = int(data.layer.max())
        batch = data.batch if data.batch is not None else torch.zeros_like(data.layer)
        count, first = int(batch.max()) + 1, data.layer[batch == 0]
        model.check(*(int((first == index).sum()) for index in (0, depth)))
        if model.node_position is not None and depth != len(model.config.widths) - 1:
            raise ShapeError(f"graphs have {depth} layers, but this model has positions for {model.config.widths}")
        nodes, edges = self._embed(data, depth)
        for layer in self.layers:
            nodes, edges = layer(nodes, edges, edge_index)
        if model.config.readout == "edge":
            v, e = model.norm(nodes), model.edge_norm(edges)  # type: ignore[misc]
            edge_out: Tensor = model.head(torch.cat([v[edge_index[0]], v[edge_index[1]], e], -1))
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
            is_bias = torch.arange(data.x.shape[1], device=data.x.device) < scale.bias_dim
            # inputs lack biases, outputs lack knots
            lacks = torch.where(is_bias, (data.layer == 0).unsqueeze(-1), (data.layer == depth).unsqueeze(-1))
            x = torch.where(lacks, data.x, (data.x - scale.node_mean) / scale.node_std)
            nodes = nodes + model.node_embedding(x)
        if model.node_position is not None and model.edge_position is not None:
            nodes, edges = (
                nodes + model.node_position(data.node_position),
                edges + model.edge_position(data.edge_position),
            )
        return nodes, edges
