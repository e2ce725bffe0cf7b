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
    """A batch of B KAN-graphs with L layers of edges.

    A KAN-graph is a stack of complete bipartite blocks, so no index tensors are needed.

    Attributes:
        edges: for each layer l of edges, ``[B, n_l, n_{l+1}, F]`` floating point. Entry (p, q) holds the features of
            the edge from neuron p of layer l to neuron q of layer l + 1.
        nodes: for each layer l of neurons, ``[B, n_l, D]`` floating point. D is 0 without node features.
        edge_mask: for each layer l of edges, which edges exist, ``[B, n_l, n_{l+1}]`` bool, or None if all do.
            Features of absent edges are zero.
        node_mask: for each layer l of neurons, which neurons exist, ``[B, n_l]`` bool, or None if all do. Absent
            neurons pad the narrower KANs of a batch.

    Raises:
        ShapeError: The shapes do not fit together.
    """

    edges: tuple[Tensor, ...]
    nodes: tuple[Tensor, ...]
    edge_mask: tuple[Tensor | None, ...]
    node_mask: tuple[Tensor | None, ...]

    def __post_init__(self) -> None:
        layers, widths = len(self.edges), self.widths
        counts = (len(self.nodes), len(self.edge_mask), len(self.node_mask))
        if layers == 0 or counts != (layers + 1, layers, layers + 1):
            raise ShapeError(f"{layers} layers of edges need {layers + 1} of nodes and masks for each, got {self}")
        for index, (edges, mask) in enumerate(zip(self.edges, self.edge_mask, strict=True)):
            shape: tuple[int, ...] = (len(self), widths[index], widths[index + 1])
            if tuple(edges.shape) != (*shape, self.edge_dim) or (mask is not None and tuple(mask.shape) != shape):
                raise ShapeError(f"edges of layer {index} must be {(*shape, self.edge_dim)}, got {self}")
        for index, (nodes, mask) in enumerate(zip(self.nodes, self.node_mask, strict=True)):
            shape = (len(self), widths[index])
            if tuple(nodes.shape) != (*shape, self.node_dim) or (mask is not None and tuple(mask.shape) != shape):
                raise ShapeError(f"nodes of layer {index} must be {(*shape, self.node_dim)}, got {self}")

    @property
    def widths(self) -> tuple[int, ...]:
        """Return the number of neurons of each layer, padding included."""
        return tuple(nodes.shape[1] for nodes in self.nodes)

    @property
    def num_layers(self) -> int:
        """Return the number L of layers of edges."""
        return len(self.edges)

    @property
    def edge_dim(self) -> int:
        """Return the number F of features per edge."""
        return self.edges[0].shape[-1]

    @property
    def node_dim(self) -> int:
        """Return the number D of features per node."""
        return self.nodes[0].shape[-1]

    def full_edge_mask(self, index: int) -> Tensor:
        """Return which edges of a layer exist, ``[B, n_l, n_{l+1}]`` bool, even if all do."""
        return _ones_for(self.edges[index]) if (mask := self.edge_mask[index]) is None else mask

    def full_node_mask(self, index: int) -> Tensor:
        """Return which neurons of a layer exist, ``[B, n_l]`` bool, even if all do."""
        return _ones_for(self.nodes[index]) if (mask := self.node_mask[index]) is None else mask

    def permute(self, permutation: Permutation) -> KANGraph:
        """Reorder the hidden neurons, as :meth:`wskan.kan.Population.permute` does.

        Raises:
            ShapeError: The permutation is for other widths, or neither for one graph nor for B.
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
        """Apply ``function`` to each tensor."""
        return KANGraph(
            edges=tuple(map(function, self.edges)),
            nodes=tuple(map(function, self.nodes)),
            edge_mask=tuple(None if mask is None else function(mask) for mask in self.edge_mask),
            node_mask=tuple(None if mask is None else function(mask) for mask in self.node_mask),
        )

    def to(self, device: torch.device | str) -> KANGraph:
        """Copy the graphs to another device."""
        return self.map(lambda tensor: tensor.to(device))

    def __len__(self) -> int:
        return self.edges[0].shape[0]

    def __getitem__(self, rows: int | slice | Tensor) -> KANGraph:
        """Select some of the graphs; an int gives a batch of one."""
        if isinstance(rows, int) and not -len(self) <= rows < len(self):
            raise IndexError(f"no graph {rows} among {len(self)}")
        index = slice(rows, rows + 1 or None) if isinstance(rows, int) else rows
        return self.map(lambda tensor: tensor[index])

    def __repr__(self) -> str:
        edges, nodes = ([tuple(tensor.shape) for tensor in tensors] for tensors in (self.edges, self.nodes))
        return f"KANGraph(edges={edges}, nodes={nodes})"


def _ones_for(features: Tensor) -> Tensor:
    """Return ones for all edges or neurons that have these features, bool."""
    return torch.ones(features.shape[:-1], dtype=torch.bool, device=features.device)
