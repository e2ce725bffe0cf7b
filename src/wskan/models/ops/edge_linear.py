"""The weights of one block of edges, as arguments of the operations of WS-KAN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor


class EdgeLinear(NamedTuple):
    """The first layer of an MLP that reads an edge, before activation: ``weight @ edge + source + target``.

    Attributes:
        weight: ``[h, f]``.
        source: contribution of the source node, bias included, ``[B, n, h]``, or None.
        target: contribution of the target node, ``[B, m, h]``, or None.
    """

    weight: Tensor
    source: Tensor | None
    target: Tensor | None


class BlockWeights(NamedTuple):
    """All weights that :func:`wskan.models.ops.edge_messages.edge_messages` applies to the edges of a block.

    Attributes:
        forward, backward, update: first layers of the MLPs of steps a, b and c.
        states: the layer that computes the states of edges from their features, without activation, if there is one.
        second_weight, second_bias: the second layer of the MLP of step c, ``[h, h]`` and ``[h]``.
    """

    forward: EdgeLinear
    backward: EdgeLinear | None
    update: EdgeLinear | None
    states: EdgeLinear | None
    second_weight: Tensor | None
    second_bias: Tensor | None

    @property
    def first_layers(self) -> tuple[EdgeLinear | None, ...]:
        """Return the four layers that read edges."""
        return self.forward, self.backward, self.update, self.states

    def flatten(self) -> tuple[Tensor | None, ...]:
        """Return the 14 tensors in a row, which is what autograd takes."""
        layers = (layer or (None, None, None) for layer in self.first_layers)
        return *(tensor for layer in layers for tensor in layer), self.second_weight, self.second_bias

    @classmethod
    def unflatten(cls, tensors: Sequence[Tensor | None]) -> BlockWeights:
        """Build from the 14 tensors; the inverse of :meth:`flatten`."""
        triples = (tensors[begin : begin + 3] for begin in (0, 3, 6, 9))
        layers = [None if weight is None else EdgeLinear(weight, *nodes) for weight, *nodes in triples]
        return cls._make([*layers, *tensors[12:]])

    def graphs(self, rows: slice) -> BlockWeights:
        """Return the weights for some of the graphs."""
        return self.unflatten([t[rows] if t is not None and t.ndim == 3 else t for t in self.flatten()])
