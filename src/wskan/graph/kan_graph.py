"""A batch of KAN-graphs (paper, section 3.2) as dense layered tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from wskan.errors import ShapeError
from wskan.kan import Permutation


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class KANGraph:
    """B KAN-graphs of L layers. A KAN-graph is a stack of complete bipartite blocks, so no index tensors are needed.

    Attributes:
        edges: of layer l ``[B, n_l, n_{l+1}, F]`` floating point, features of the edge from neuron p of layer l to neuron q of layer l + 1.
        nodes: of layer l ``[B, n_l, D]`` floating point; D is 0 without node features.
        edge_mask: of layer l ``[B, n_l, n_{l+1}]`` bool, which edges exist; None if all do. Features of absent edges are zero.
        node_mask: of layer l ``[B, n_l]`` bool, which neurons exist; None if all do. Those that do not fill up narrower KANs of a batch.

    Raises:
        ShapeError: tensors that do not fit together.
    """

    edges: tuple[Tensor, ...]
    nodes: tuple[Tensor, ...]
    edge_mask: tuple[Tensor | None, ...]
    node_mask: tuple[Tensor | None, ...]

    def __post_init__(self) -> None:
        layers, widths = len(self.edges), self.widths
        if layers == 0 or (len(self.nodes), len(self.edge_mask), len(self.node_mask)) != (
            layers + 1,
            layers,
            layers + 1,
        ):
            raise ShapeError(f"{layers} layers of edges need {layers + 1} of nodes and masks of each, got {self}")
        for index, (edges, mask) in enumerate(zip(self.edges, self.edge_mask, strict=True)):
            block = (len(self), widths[index], widths[index + 1])
            if tuple(edges.shape) != (*block, self.edge_dim) or (mask is not None and tuple(mask.shape) != block):
                raise ShapeError(f"edges of layer {index} must be {(*block, self.edge_dim)}, got {self}")
        for index, (nodes, node_mask) in enumerate(zip(self.nodes, self.node_mask, strict=True)):
            block2 = (len(self), widths[index])
            if tuple(nodes.shape) != (*block2, self.node_dim) or (
                node_mask is not None and tuple(node_mask.shape) != block2
            ):
                raise ShapeError(f"nodes of layer {index} must be {(*block2, self.node_dim)}, got {self}")

    @property
    def widths(self) -> tuple[int, ...]:
        """Neurons a layer, filled-up ones included."""
        return tuple(nodes.shape[1] for nodes in self.nodes)

    @property
    def num_layers(self) -> int:
        """Number L of layers of edges."""
        return len(self.edges)

    @property
    def edge_dim(self) -> int:
        """Number F of features of an edge."""
        return self.edges[0].shape[-1]

    @property
    def node_dim(self) -> int:
        """Number D of features of a node."""
        return self.nodes[0].shape[-1]

    def permute(self, permutation: Permutation) -> KANGraph:
        """Reorder the hidden neurons, as :meth:`wskan.kan.Population.permute` does.

        Raises:
            ShapeError: the permutation is for other widths, or neither for B graphs nor for all alike.
        """
        permutation.check(self.widths, len(self))
        edge, node = permutation.edge_block, permutation.node_block
        return KANGraph(
            edges=tuple(edge(t, i) for i, t in enumerate(self.edges)),
            nodes=tuple(node(t, i) for i, t in enumerate(self.nodes)),
            edge_mask=tuple(None if t is None else edge(t, i) for i, t in enumerate(self.edge_mask)),
            node_mask=tuple(None if t is None else node(t, i) for i, t in enumerate(self.node_mask)),
        )

    def map(self, function: Callable[[Tensor], Tensor]) -> KANGraph:
        """The graphs with ``function`` applied to each tensor."""
        return KANGraph(
            edges=tuple(map(function, self.edges)),
            nodes=tuple(map(function, self.nodes)),
            edge_mask=tuple(None if mask is None else function(mask) for mask in self.edge_mask),
            node_mask=tuple(None if mask is None else function(mask) for mask in self.node_mask),
        )

    def to(self, device: torch.device | str) -> KANGraph:
        """The graphs on another device."""
        return self.map(lambda tensor: tensor.to(device))

    def __len__(self) -> int:
        return self.edges[0].shape[0]

    def __getitem__(self, rows: int | slice | Tensor) -> KANGraph:
        """Some of the graphs; an int gives a batch of one."""
        if isinstance(rows, int) and not -len(self) <= rows < len(self):
            raise IndexError(f"no graph {rows} among {len(self)}")
        index = slice(rows, rows + 1 or None) if isinstance(rows, int) else rows
        return self.map(lambda tensor: tensor[index])

    def __repr__(self) -> str:
        shapes = [tuple(tensor.shape) for tensor in self.edges], [tuple(tensor.shape) for tensor in self.nodes]
        return f"KANGraph(edges={shapes[0]}, nodes={shapes[1]})"
