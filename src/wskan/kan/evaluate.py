"""Evaluation of KANs on many inputs, without gradients and in single precision: outputs, accuracy and activations."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor

from wskan.errors import DataError, ShapeError
from wskan.kan import kernel
from wskan.kan.layer import BASE_FUNCTIONS, Layer
from wskan.kan.population import Population
from wskan.kan.spec import KANSpec

NUMBERS = 2**25  # numbers in memory at a time: 128 MB in single precision


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Activations:
    """The variation of the edges and neurons of one layer over inputs.

    Attributes:
        edge_std: ``[K, in, out]`` standard deviation of each phi_{p,q}(x_p) (pykan's ``edge_actscale``).
        edge_mean: ``[K, in, out]`` mean absolute value of phi_{p,q}(x_p) (``acts_scale`` of pykan's first releases).
        node_std: ``[K, out]`` standard deviation of the sum that a neuron receives (``subnode_actscale``).
    """

    edge_std: Tensor
    edge_mean: Tensor
    node_std: Tensor


@torch.no_grad()
def outputs(population: Population, x: Tensor) -> Tensor:
    """Compute the outputs of every KAN, ``[K, N, out]`` float32.

    The result is that of ``population(x)``. The C++ kernel is many times faster and is used if possible.

    Args:
        population: K KANs.
        x: ``[N, in]`` for all KANs, or ``[K, N, in]``.

    Raises:
        ShapeError: x has another shape.
        DataError: x or a KAN is not finite.
    """
    return _outputs(population, checked_inputs(population, x))


def _outputs(population: Population, x: Tensor) -> Tensor:
    if by_kernel(population):
        return kernel.evaluate(population, x)
    parts = []
    for kans, own in _few_kans(population, x):
        width = 2 * len(kans) * max(population.spec.widths) * (1 + population.spec.num_basis)
        parts.append(torch.cat([kans(part) for part in torch.split(own, max(1, NUMBERS // width), 1)], 1))
    return torch.cat(parts)


@torch.no_grad()
def accuracy(population: Population, x: Tensor, labels: Tensor) -> Tensor:
    """Compute the share of inputs that each KAN classifies correctly, ``[K]`` float32 in [0, 1].

    Args:
        population: K classifiers; the largest output is the predicted class.
        x: ``[N, in]``.
        labels: ``[N]`` int64.

    Raises:
        ShapeError: x or labels have another shape.
        DataError: x or a KAN is not finite, or a label is not a class.
    """
    if x.ndim != 2 or tuple(labels.shape) != tuple(x.shape[:1]):
        raise ShapeError(f"need inputs [N, in] and labels [N], got shapes {tuple(x.shape)} and {tuple(labels.shape)}")
    x, classes = checked_inputs(population, x), population.spec.widths[-1]
    if not bool(((labels >= 0) & (labels < classes)).all()):
        raise DataError(f"labels must be from 0 to {classes - 1}, got {int(labels.min())} to {int(labels.max())}")
    step, right = max(1, NUMBERS // (len(labels) * classes)), torch.empty(len(population), dtype=torch.float32)
    for begin in range(0, len(population), step):
        rows = slice(begin, begin + step)
        right[rows] = (_outputs(population[rows], x).argmax(-1).cpu() == labels.cpu()).float().mean(1)
    return right


@torch.no_grad()
def activations(population: Population, x: Tensor) -> list[Activations]:
    """Measure the variation of edges and neurons over N inputs, one result per layer; masked edges have none.

    Args:
        population: K KANs.
        x: ``[N, in]`` for all KANs, or ``[K, N, in]``; at least two inputs.

    Raises:
        ShapeError: x has another shape.
        DataError: x or a KAN is not finite.
    """
    x = checked_inputs(population, x)
    if x.shape[1] < 2:
        raise ShapeError(f"x has shape {tuple(x.shape)}: need at least two inputs to measure their variation")
    if by_kernel(population):
        return [
            Activations(edge_std=edge, edge_mean=mean, node_std=node)
            for edge, mean, node in zip(*kernel.activations(population, x), strict=True)
        ]
    parts = [_activations(kans, own) for kans, own in _few_kans(population, x)]
    return [
        Activations(
            edge_std=torch.cat([part.edge_std for part in layer]),
            edge_mean=torch.cat([part.edge_mean for part in layer]),
            node_std=torch.cat([part.node_std for part in layer]),
        )
        for layer in zip(*parts, strict=True)
    ]


def _activations(population: Population, x: Tensor) -> list[Activations]:
    """Compute activations in plain PyTorch, a few inputs at a time."""
    spec, size = population.spec, x.shape[1]
    edges = [_Moments() for _ in population.layers]
    nodes = [_Moments() for _ in population.layers]
    widest = max(n * m for n, m in zip(spec.widths[:-1], spec.widths[1:], strict=True))
    for part in torch.split(x, max(1, NUMBERS // (len(population) * widest)), 1):
        values = part.expand(len(population), -1, -1)
        for layer, edge, node in zip(population.layers, edges, nodes, strict=True):
            each = edge_values(layer, values, spec)
            values = each.sum(2)
            edge.add(each)
            node.add(values)
    return [
        Activations(edge_std=edge.std(size), edge_mean=edge.mean(size), node_std=node.std(size))
        for edge, node in zip(edges, nodes, strict=True)
    ]


def edge_values(layer: Layer, x: Tensor, spec: KANSpec) -> Tensor:
    """Compute phi_{p,q}(x_p), ``[K, B, in, out]``, at x ``[K, B, in]``."""
    basis = spec.basis_functions.values(x.unsqueeze(-1), layer.knots.unsqueeze(1)).squeeze(-2)
    spline = torch.einsum("kbic,kioc->kbio", basis, (layer.spline_weight * layer.mask).unsqueeze(-1) * layer.coef)
    base = BASE_FUNCTIONS[spec.base](x).unsqueeze(-1)
    return base * (layer.base_weight * layer.mask).unsqueeze(1) + spline


class _Moments:
    """Sums over samples, shifted by the first sample, in double precision."""

    def __init__(self) -> None:
        self.shift: Tensor | None = None
        self.sum: Tensor | float = 0.0
        self.square: Tensor | float = 0.0
        self.absolute: Tensor | float = 0.0

    def add(self, values: Tensor) -> None:
        """Add samples along axis 1."""
        if self.shift is None:
            self.shift = values[:, :1].double()
        difference = values - self.shift
        self.sum = self.sum + difference.sum(1)
        self.square = self.square + difference.square().sum(1)
        self.absolute = self.absolute + values.abs().sum(1, dtype=torch.float64)

    def std(self, size: int) -> Tensor:
        """Return the unbiased standard deviation, like ``torch.std``."""
        variance = (torch.as_tensor(self.square) - torch.as_tensor(self.sum).square() / size) / (size - 1)
        return variance.clamp_min(0).sqrt().float()

    def mean(self, size: int) -> Tensor:
        """Return the mean of absolute values."""
        return (torch.as_tensor(self.absolute) / size).float()


def checked_inputs(population: Population, x: Tensor) -> Tensor:
    """Check inputs ``[N, in]`` or ``[1 or K, N, in]`` and return them as ``[1 or K, N, in]`` in single precision.

    Raises:
        ShapeError: x has another shape.
        DataError: x or a KAN is not finite, for which the result of kernels is undefined.
    """
    population.check_finite()
    given = tuple(x.shape)
    x = (x.unsqueeze(0) if x.ndim == 2 else x).to(torch.float32)
    n_in = population.spec.widths[0]
    if x.ndim != 3 or x.shape[0] not in (1, len(population)) or x.shape[1] == 0 or x.shape[2] != n_in:
        raise ShapeError(f"x has shape {given}, need [N, {n_in}] or [{len(population)}, N, {n_in}]")
    if not bool(x.isfinite().all()):
        raise DataError("x must be finite in single precision")
    return x


def by_kernel(population: Population) -> bool:
    """Return whether the C++ kernel can evaluate these KANs on their device."""
    cpu = population.layers[0].coef.device.type == "cpu"
    return cpu and kernel.unavailable(population.spec) is None


def _few_kans(population: Population, x: Tensor) -> Iterator[tuple[Population, Tensor]]:
    """Yield groups of KANs with their inputs, on their device."""
    x = x.to(population.layers[0].coef.device)
    for begin in range(0, len(population), 16):
        rows = slice(begin, begin + 16)
        yield population[rows].to(torch.float32), x if x.shape[0] == 1 else x[rows]
