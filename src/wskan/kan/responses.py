"""The activations of each neuron and the values of each edge of a KAN at given inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from wskan.errors import ShapeError
from wskan.kan import kernel
from wskan.kan.edge_functions import BASE_SLOPES
from wskan.kan.evaluate import by_kernel, checked_inputs, edge_values
from wskan.kan.population import Population

NUMBERS = 2**24  # basis functions in memory at a time in PyTorch: 64 MB in single precision
CACHED = 2**17  # the same for the gradient on a CPU, so that results of one operation are still in cache for the next


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Responses:
    """The activations and edge values of K KANs at N inputs.

    Attributes:
        nodes: ``[K, n_{l+1}, N]`` per layer l, activations of the neurons that it leads to. The last are the outputs.
        edges: ``[K, n_l, n_{l+1}, M]`` per layer l, phi_{p,q}(x_p) at the first M inputs; zero for a pruned edge.
    """

    nodes: tuple[Tensor, ...]
    edges: tuple[Tensor, ...]


def responses(population: Population, x: Tensor, edge_points: int = 0) -> Responses:
    """Evaluate every KAN and return the activations of all its neurons, with the C++ kernel if possible.

    First-order gradients flow to ``x``, but not to the KANs.

    Args:
        population: K KANs.
        x: ``[N, in]`` for all KANs, or ``[K, N, in]``.
        edge_points: number M of inputs, from the first on, at which edges are evaluated as well.

    Raises:
        ShapeError: x has another shape, or fewer than ``edge_points`` inputs.
        DataError: x or a KAN is not finite.
    """
    x = checked_inputs(population, x)
    if not 0 <= edge_points <= x.shape[1]:
        raise ShapeError(f"edge_points must be from 0 to the number of inputs, {x.shape[1]}, got {edge_points}")
    x = x.to(population.layers[0].coef.device)
    if torch.is_grad_enabled() and x.requires_grad:
        flat = _Responses.apply(x, population, edge_points)  # type: ignore[no-untyped-call]
    else:
        flat = _evaluate(population, x, edge_points)
    depth = population.spec.num_layers
    return Responses(nodes=tuple(flat[:depth]), edges=tuple(flat[depth:]))


class _Responses(torch.autograd.Function):
    """An evaluation without autograd; ``backward`` works layer by layer from the activations (``Basis.slopes``)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, population: Population, edge_points: int) -> tuple[Tensor, ...]:
        flat = _evaluate(population, x, edge_points)
        ctx.population, ctx.edge_points = population, edge_points
        ctx.save_for_backward(x, *flat[: population.spec.num_layers - 1])
        ctx.set_materialize_grads(False)
        return tuple(flat)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None, None]:
        population, (x, *hidden) = ctx.population, ctx.saved_tensors
        total = torch.zeros_like(x)
        for rows in _few(population, x, CACHED if x.device.type == "cpu" else NUMBERS):
            own = slice(0, 1) if x.shape[0] == 1 else rows
            inputs = [x[own], *(nodes[rows].mT for nodes in hidden)]
            few = [None if gradient is None else gradient[rows] for gradient in gradients]
            with torch.autocast(x.device.type, enabled=False):
                part = _gradient(population[rows].to(torch.float32), inputs, few)
            total[own] += part.sum(0, keepdim=True) if x.shape[0] == 1 else part
        return total, None, None


def _gradient(population: Population, inputs: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> Tensor:
    """Compute the gradient with respect to the inputs of the KANs, ``[K, N, in]``.

    Args:
        population: K KANs.
        inputs: ``[1 or K, N, n_l]`` per layer.
        gradients: gradients of the results of :func:`_evaluate`; None for zero.
    """
    spec, depth, above = population.spec, population.spec.num_layers, None
    for index in reversed(range(depth)):
        layer, x = population.layers[index], inputs[index].expand(len(population), -1, -1)
        parts = [part for part in (gradients[index], above) if part is not None]
        matrix = layer.matrix()  # [K, in*(1+C), out]
        basis = x.new_zeros(*x.shape, 1 + spec.num_basis)  # with respect to b(x) and B_i(x)
        if parts:
            basis += (sum(parts[1:], parts[0]).mT @ matrix.mT).view_as(basis)
        if (edges := gradients[depth + index]) is not None:
            each = edges.mT @ matrix.view(*basis.shape[:1], *basis.shape[2:], -1).mT  # [K, in, M, 1+C]
            basis[:, : edges.shape[-1]] += each.transpose(1, 2)
        slopes = spec.basis_functions.slopes(x.unsqueeze(-1), layer.knots.unsqueeze(1)).squeeze(-2)
        below = (basis[..., 1:] * slopes).sum(-1) + basis[..., 0] * BASE_SLOPES[spec.base](x)
        above = below.mT
    return below


def _evaluate(population: Population, x: Tensor, edge_points: int) -> list[Tensor]:
    """Return activations of neurons layer by layer, then values of edges, without gradients."""
    with torch.no_grad(), torch.autocast(x.device.type, enabled=False):  # half precision would change the function
        if by_kernel(population):
            nodes, edges = kernel.responses(population, x, edge_points)
            return [*nodes, *edges]
        parts = [
            _plain(population[rows].to(torch.float32), x if x.shape[0] == 1 else x[rows], edge_points)
            for rows in _few(population, x, NUMBERS)
        ]
        return [torch.cat(blocks) for blocks in zip(*parts, strict=True)]


def _plain(population: Population, x: Tensor, edge_points: int) -> list[Tensor]:
    nodes, edges = [], []
    values = x.expand(len(population), -1, -1)
    for layer in population.layers:
        edges.append(edge_values(layer, values[:, :edge_points], population.spec).movedim(1, -1))
        values = layer(values, population.spec)
        nodes.append(values.transpose(1, 2))
    return [*nodes, *edges]


def _few(population: Population, x: Tensor, numbers: int) -> list[slice]:
    """Split the KANs so that at most ``numbers`` basis functions are in memory at a time, and return their rows."""
    size = x.shape[1] * max(population.spec.widths) * (1 + population.spec.num_basis)
    step = max(1, numbers // size)
    return [slice(begin, begin + step) for begin in range(0, len(population), step)]
