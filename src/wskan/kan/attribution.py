"""Attribution: the share of a KAN's output that each edge and neuron accounts for, from data or from the KAN alone.

Scores pass from the outputs to the inputs (pykan 0.2.8, ``attribute``). A neuron distributes its score over its
incoming edges: each gets the standard deviation of the edge divided by that of the neuron. The score of a neuron is
the sum over its outgoing edges. Without data, the deviations come from the grids, because grid adaptation puts knots
at quantiles of a neuron's activations.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from wskan.kan.evaluate import NUMBERS, activations
from wskan.kan.layer import Layer
from wskan.kan.population import Population
from wskan.kan.spec import KANSpec

EPSILON = 1e-4  # pykan's; guards against neurons that never vary
POINTS = 10  # least number of points per grid
DRAWS, SEED = 1_000, 0  # random inputs for KANs whose grids were never adapted
LEAST_SCORE = 1e-6  # zoos and features clamp scores here before they take the logarithm
TOLERANCE = 1e-3  # share of the domain by which a uniform grid may be off: zoos are stored in half precision


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Attribution:
    """The scores of the edges and neurons of K KANs.

    Attributes:
        edges: ``[K, n_l, n_{l+1}]`` per layer; 0 for a pruned edge.
        nodes: ``[K, n_l]`` for the inputs, each hidden layer and the outputs (1/out each).
    """

    edges: tuple[Tensor, ...]
    nodes: tuple[Tensor, ...]


@torch.no_grad()
def attribution(population: Population, x: Tensor | None = None) -> Attribution:
    """Attribute the outputs of each KAN to its edges and neurons.

    Without data, each KAN is treated on its own. If the grids of all its hidden layers were adapted, the scores have a
    closed form (:func:`grid_deviations`). Otherwise its grids carry no information about activations. Then random
    inputs from the grids of the first layer replace the data (:func:`drawn_inputs`).

    Args:
        population: K KANs.
        x: at least two inputs, ``[N, in]`` for all KANs or ``[K, N, in]``; None to use no data.

    Raises:
        ShapeError: x has another shape.
        DataError: x or a KAN is not finite.

    Example:
        >>> import torch
        >>> from wskan.kan import KANSpec, Population, attribution
        >>> kans = Population.init(KANSpec(widths=(2, 3, 1)), seeds=[0, 1])
        >>> scores = attribution(kans, torch.rand(100, 2) * 2 - 1)
        >>> [tuple(edges.shape) for edges in scores.edges], [tuple(nodes.shape) for nodes in scores.nodes]
        ([(2, 2, 3), (2, 3, 1)], [(2, 2), (2, 3), (2, 1)])
        >>> scores.nodes[-1]  # a single output has the whole score
        tensor([[1.],
                [1.]])
    """
    if x is not None:
        return _from_data(population, x)
    population = population.to(torch.float32)
    population.check_finite()
    spec, adapted = population.spec, adapted_grids(population)
    points = spec.grid * _parts(spec.grid)
    per_kan = points * max(n * max(m, 1 + spec.num_basis) for n, m in itertools.pairwise(spec.widths))
    scores = Attribution(
        edges=tuple(torch.zeros_like(layer.mask) for layer in population.layers),
        nodes=tuple(torch.zeros(len(population), n, device=adapted.device, dtype=torch.float32) for n in spec.widths),
    )
    for rows in _few(adapted, NUMBERS // per_kan):
        _put(scores, rows, hand_down(*grid_deviations(population[rows])))
    for rows in _few(~adapted, NUMBERS // (DRAWS * max(spec.widths))):
        _put(scores, rows, _from_data(kans := population[rows], drawn_inputs(kans)))
    return scores


def hand_down(edge_std: Sequence[Tensor], node_std: Sequence[Tensor]) -> Attribution:
    """Distribute scores from the outputs, 1/out each, down to the inputs.

    Args:
        edge_std: ``[K, n_l, n_{l+1}]`` per layer, the standard deviation of each edge.
        node_std: ``[K, n_{l+1}]`` per layer, the standard deviation of the neurons that the edges lead to.
    """
    nodes = [torch.full_like(node_std[-1], 1 / node_std[-1].shape[1])]  # pykan's mean over outputs, each scoring 1
    edges: list[Tensor] = []
    for edge, node in zip(reversed(edge_std), reversed(node_std), strict=True):
        edges.insert(0, edge * (nodes[0] / (node + EPSILON)).unsqueeze(1))
        nodes.insert(0, edges[0].sum(2))
    return Attribution(edges=tuple(edges), nodes=tuple(nodes))


def grid_deviations(population: Population) -> tuple[list[Tensor], list[Tensor]]:
    """Estimate standard deviations from the grids.

    A neuron is assumed to be uniform between neighbouring inner knots, and equally often in each interval. Outputs have
    no grid, so their edges are assumed to be independent.

    Returns:
        For each layer, the deviations of edges ``[K, n_l, n_{l+1}]`` and of the neurons that they lead to
        ``[K, n_{l+1}]``.
    """
    spec = population.spec
    points = [_middles(spec.basis_functions.inner(layer.knots), spec.grid) for layer in population.layers]  # [K, in, B]
    edge_std = [_edge_deviations(layer, x, spec) for layer, x in zip(population.layers, points, strict=True)]
    hidden = [
        x.std(-1, correction=0).expand(layer.mask.shape[:2])
        for layer, x in zip(population.layers[1:], points[1:], strict=True)
    ]
    return edge_std, [*hidden, edge_std[-1].square().sum(1).sqrt()]


def drawn_inputs(population: Population, count: int = DRAWS, seed: int = SEED) -> Tensor:
    """Draw inputs ``[1 or K, count, in]`` from the grids of the first layer.

    Each input is independent of the others and falls equally often in each interval. All KANs share the random numbers.
    """
    spec, inner = population.spec, population.spec.basis_functions.inner(population.layers[0].knots)
    ranks = torch.rand(spec.widths[0], count, generator=torch.Generator().manual_seed(seed)).argsort(1)
    return along_grid(inner, (ranks + 0.5) / count).transpose(1, 2)  # each input gets all quantiles


def along_grid(inner: Tensor, share: Tensor) -> Tensor:
    """Return the points at given shares of each grid, from its first knot (0) to its last (1).

    All intervals count as equally long.

    Args:
        inner: inner knots ``[K or 1, in or 1, G+1]``.
        share: the shares, ``[in, N]``.

    Returns:
        ``[K or 1, in, N]``. On an adapted grid these are quantiles of the neuron's activations.
    """
    intervals = inner.shape[-1] - 1
    place = share.to(inner) * intervals
    interval = place.long().clamp(max=intervals - 1)
    inner = inner.expand(-1, len(share), -1)
    low, high = (inner.gather(-1, (interval + side).expand(len(inner), -1, -1)) for side in (0, 1))
    return low + (place - interval) * (high - low)


def adapted_grids(population: Population) -> Tensor:
    """Find the KANs whose grids were adapted in every hidden layer, ``[K]`` bool.

    An adapted grid is uniform neither on the domain nor on its mirror image (:func:`wskan.kan.negate_neurons`).
    """
    spec, device = population.spec, population.layers[0].coef.device
    if not spec.basis_functions.adapts:
        return torch.zeros(len(population), dtype=torch.bool, device=device)
    uniform = spec.basis_functions.inner(spec.basis_functions.knots()).to(device)
    near = TOLERANCE * (spec.domain[1] - spec.domain[0])
    adapted = torch.ones(len(population), dtype=torch.bool, device=device)
    for layer in population.layers[1:]:
        inner = spec.basis_functions.inner(layer.knots)
        distance = [(inner - grid).abs().amax(-1) for grid in (uniform, -uniform.flip(0))]
        adapted &= (torch.minimum(*distance) > near).any(1)
    return adapted


def _from_data(population: Population, x: Tensor) -> Attribution:
    layers = activations(population, x)
    return hand_down([layer.edge_std for layer in layers], [layer.node_std for layer in layers])


def _edge_deviations(layer: Layer, x: Tensor, spec: KANSpec) -> Tensor:
    """Compute the deviation of each phi_{p,q} over points ``[K or 1, in or 1, B]`` of neuron p, ``[K, in, out]``."""
    functions = layer.functions(x, spec)  # [K or 1, in or 1, B, 1+C]
    deviations = layer.weights() @ (functions - functions.mean(-2, keepdim=True)).mT  # [K, in, out, B]
    return deviations.square_().mean(-1).sqrt_()


def _middles(inner: Tensor, grid: int) -> Tensor:
    """Return the midpoints ``[..., B]`` of equal parts of each interval between inner knots ``[..., G+1]``."""
    parts = _parts(grid)
    u = (torch.arange(parts, device=inner.device, dtype=inner.dtype) + 0.5) / parts
    return (inner[..., :-1, None] + u * inner.diff(dim=-1).unsqueeze(-1)).flatten(-2)


def _parts(grid: int) -> int:
    """Return the number of parts per interval."""
    return max(2, -(-POINTS // grid))


def _few(chosen: Tensor, size: int) -> list[Tensor]:
    """Split the chosen KANs (``[K]`` bool) into groups of at most ``size`` and return their rows."""
    return [rows for rows in torch.split(chosen.nonzero().squeeze(1), max(1, size)) if len(rows)]


def _put(scores: Attribution, rows: Tensor, part: Attribution) -> None:
    """Write the scores of some KANs into their rows."""
    for whole, own in zip((*scores.edges, *scores.nodes), (*part.edges, *part.nodes), strict=True):
        whole[rows] = own.to(whole.device)
