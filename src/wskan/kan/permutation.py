"""Permutations of the neurons of hidden layers: the group of Proposition 3.1 as data."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wskan.errors import ShapeError


class Permutation:
    """A permutation of the neurons of every hidden layer, for each of K KANs.

    It is an element of the group S_{n_1} x ... x S_{n_{L-1}} (paper, Proposition 3.1). Inputs and outputs stay in
    place. It acts on populations (:meth:`wskan.kan.Population.permute`), on graphs
    (:meth:`wskan.graph.KANGraph.permute`) and on other values of edges and neurons (:meth:`edges`,
    :meth:`node_block`). One of size 1 acts on any number of KANs.

    Args:
        orders: integers per hidden layer, ``[K, n_l]``, or ``[n_l]`` for all KANs; new neuron i is old neuron
            ``order[i]``.

    Attributes:
        orders: ``[K, n_l]`` int64 per hidden layer.

    Raises:
        ShapeError: a row is not a permutation, the sizes differ, or the numbers are not integers.

    Example:
        >>> import torch
        >>> from wskan.kan import KANSpec, Permutation, Population
        >>> swap = Permutation([torch.tensor([1, 0, 2])])  # the first two of three hidden neurons
        >>> kans = Population.init(KANSpec(widths=(2, 3, 1)), seeds=[0])
        >>> x = torch.rand(5, 2)
        >>> torch.allclose(kans.permute(swap)(x), kans(x), atol=1e-6)
        True
        >>> swap.then(swap).is_identity
        True
    """

    def __init__(self, orders: Sequence[Tensor]) -> None:
        if any(order.is_floating_point() for order in orders):
            raise ShapeError(f"orders must be integers, got {[order.dtype for order in orders]}")
        self.orders = tuple((order.unsqueeze(0) if order.ndim == 1 else order).long() for order in orders)
        if any(order.ndim != 2 or len(order) != len(self) for order in self.orders):
            raise ShapeError(
                f"orders must be [K, n_l] with the same K, got shapes {[tuple(order.shape) for order in orders]}"
            )
        for order in self.orders:
            if not torch.equal(order.sort(1).values, _numbers(order)):
                raise ShapeError(f"not a permutation: {order}")

    @classmethod
    def identity(cls, widths: Sequence[int], size: int = 1) -> Permutation:
        """Return the identity, for KANs of these widths."""
        return cls([torch.arange(width).repeat(size, 1) for width in widths[1:-1]])

    @classmethod
    def random(cls, widths: Sequence[int], size: int, generator: torch.Generator) -> Permutation:
        """Draw a uniform permutation for each of ``size`` KANs of these widths, all independent."""
        return cls([torch.rand(size, width, generator=generator).argsort(-1) for width in widths[1:-1]])

    @classmethod
    def cat(cls, permutations: Sequence[Permutation]) -> Permutation:
        """Join the permutations of several groups of KANs, at least one, into one.

        Raises:
            ShapeError: there are none.
        """
        if not permutations:
            raise ShapeError("need at least one permutation to join")
        return cls([torch.cat(orders) for orders in zip(*(each.orders for each in permutations), strict=True)])

    def then(self, other: Permutation) -> Permutation:
        """Compose: first this permutation, then the other.

        ``kans.permute(a.then(b))`` is ``kans.permute(a).permute(b)``.

        Raises:
            ShapeError: they are for other hidden layers, or for other numbers of KANs.
        """
        if self.hidden != other.hidden or (len(self) != len(other) and 1 not in (len(self), len(other))):
            raise ShapeError(f"cannot compose {self} with {other}")
        size = max(len(self), len(other))
        pairs = zip(self.orders, other.orders, strict=True)
        return Permutation([a.expand(size, -1).gather(1, b.to(a.device).expand(size, -1)) for a, b in pairs])

    @property
    def inverse(self) -> Permutation:
        """Return the inverse permutation."""
        return Permutation([order.argsort(1) for order in self.orders])

    @property
    def hidden(self) -> tuple[int, ...]:
        """Return the numbers of neurons of the hidden layers."""
        return tuple(order.shape[1] for order in self.orders)

    @property
    def is_identity(self) -> bool:
        """Return whether all neurons of all KANs stay in place."""
        return all(torch.equal(order, _numbers(order)) for order in self.orders)

    def check(self, widths: Sequence[int], size: int) -> None:
        """Raise unless the permutation fits these KANs.

        Raises:
            ShapeError: it is for other widths or another number of KANs.
        """
        if self.hidden != tuple(widths[1:-1]) or len(self) not in (1, size):
            raise ShapeError(f"{size} KANs {list(widths)} need permutations of their hidden layers, got {self}")

    def edges(self, blocks: Sequence[Tensor]) -> list[Tensor]:
        """Reorder values of the edges, ``[K, n_l, n_{l+1}, ...]`` per layer."""
        return [self.edge_block(block, index) for index, block in enumerate(blocks)]

    def edge_block(self, block: Tensor, layer: int) -> Tensor:
        """Reorder values of the edges of one layer, ``[K, n_l, n_{l+1}, ...]``."""
        block = self.node_block(block, layer)
        return reorder(block, self.orders[layer], 2) if layer < len(self.orders) else block

    def node_block(self, block: Tensor, layer: int) -> Tensor:
        """Reorder values of the neurons of one layer, ``[K, n_l, ...]``."""
        return reorder(block, self.orders[layer - 1], 1) if 0 < layer <= len(self.orders) else block

    def __len__(self) -> int:
        return len(self.orders[0]) if self.orders else 1

    def __getitem__(self, rows: int | slice | Tensor) -> Permutation:
        """Return the permutations of some of the KANs; an int gives a size of one."""
        if isinstance(rows, int) and not -len(self) <= rows < len(self):
            raise IndexError(f"no permutation {rows} among {len(self)}")
        index = slice(rows, rows + 1 or None) if isinstance(rows, int) else rows
        return Permutation([order[index] for order in self.orders])

    def __repr__(self) -> str:
        return f"Permutation(of {len(self)}, hidden layers {list(self.hidden)})"


def reorder(tensor: Tensor, order: Tensor, dim: int) -> Tensor:
    """Return ``tensor[k, ..., order[k, i], ...]`` along ``dim``, for ``[K, ..., n, ...]`` and ``order [K or 1, n]``.

    Whole rows are copied, several times faster than ``gather``.
    """
    order = order.to(tensor.device).expand(len(tensor), -1)
    rows = order.repeat_interleave(tensor.shape[1:dim].numel(), 0)  # [K * ..., n]
    rows = rows + order.shape[1] * torch.arange(len(rows), device=order.device).unsqueeze(1)
    return tensor.flatten(0, dim).index_select(0, rows.flatten()).view(tensor.shape)


def _numbers(order: Tensor) -> Tensor:
    return torch.arange(order.shape[1], device=order.device).expand_as(order)
