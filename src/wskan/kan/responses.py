"""What each neuron and each edge of a KAN does at given inputs."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wskan.errors import ShapeError
from wskan.kan import kernel
from wskan.kan.evaluate import by_kernel, checked_inputs, edge_values
from wskan.kan.population import Population

NUMBERS = 2**24  # basis functions held at once by the PyTorch path: 64 MB in single precision


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Responses:
    """What K KANs do at N inputs.

    Attributes:
        nodes: of the neurons that layer l leads to ``[K, n_{l+1}, N]``, their activations; the last ones are the outputs.
        edges: of layer l ``[K, n_l, n_{l+1}, M]``, phi_{p,q}(x_p) at the first M of the inputs; zero for a pruned edge.
    """

    nodes: tuple[Tensor, ...]
    edges: tuple[Tensor, ...]


def responses(population: Population, x: Tensor, edge_points: int = 0) -> Responses:
    """Evaluate every KAN and keep what happens inside: by the C++ kernel where it can be used and no gradient is wanted.

    In PyTorch, gradients pass to ``x``.

    Args:
        population: K KANs.
        x: ``[N, in]`` for all KANs alike, or ``[K, N, in]``.
        edge_points: number M of inputs, the first ones, at which edges are evaluated as well.

    Raises:
        ShapeError: x has another shape, or fewer than ``edge_points`` inputs.
        DataError: x or a KAN is not finite.
    """
    x = checked_inputs(population, x)
    if not 0 <= edge_points <= x.shape[1]:
        raise ShapeError(f"edge_points must be from 0 to the number of inputs, {x.shape[1]}, got {edge_points}")
    if by_kernel(population) and not (torch.is_grad_enabled() and x.requires_grad):
        nodes, edges = kernel.responses(population, x, edge_points)
        return Responses(nodes=tuple(nodes), edges=tuple(edges))
    population = population.to(torch.float32)
    x = x.to(population.layers[0].coef.device)
    size = x.shape[1] * max(population.spec.widths) * (1 + population.spec.num_basis)
    parts = []
    for rows in torch.split(torch.arange(len(population)), max(1, NUMBERS // size)):
        few = slice(int(rows[0]), int(rows[-1]) + 1)
        parts.append(_responses(population[few], x if x.shape[0] == 1 else x[few], edge_points))
    nodes, edges = ([torch.cat(blocks) for blocks in zip(*each, strict=True)] for each in zip(*parts, strict=True))
    return Responses(nodes=tuple(nodes), edges=tuple(edges))


def _responses(population: Population, x: Tensor, edge_points: int) -> tuple[list[Tensor], list[Tensor]]:
    nodes, edges = [], []
    values = x.expand(len(population), -1, -1)
    for layer in population.layers:
        edges.append(edge_values(layer, values[:, :edge_points], population.spec).movedim(1, -1))
        values = layer(values, population.spec)
        nodes.append(values.transpose(1, 2))
    return nodes, edges
