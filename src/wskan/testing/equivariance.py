"""Measure how well a model respects the symmetry of Proposition 3.1."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from wskan.graph import KANGraph
from wskan.kan import Permutation

Output = Tensor | Sequence[Tensor]


def random_permutation(widths: Sequence[int], seed: int, size: int = 1) -> Permutation:
    """Return a random permutation of the hidden neurons of each of ``size`` KANs; at least one is not the identity.

    Raises:
        ValueError: No hidden layer has two neurons, so the identity is the only permutation.
    """
    if max(widths[1:-1], default=0) < 2:
        raise ValueError(f"widths {tuple(widths)} have no permutation other than the identity")
    generator = torch.Generator().manual_seed(seed)
    while (permutation := Permutation.random(widths, size, generator)).is_identity:
        pass
    return permutation


@torch.no_grad()
def equivariance_error(model: Callable[[KANGraph], Output], graph: KANGraph, permutation: Permutation) -> float:
    """Return the largest difference of output for permuted graphs and permuted output, relative to the largest output.

    Args:
        model: a function from graphs to ``[B, ...]``, which should be invariant, or to ``[B, n_l, n_{l+1}, ...]`` per
            layer, which should be equivariant.
        graph: B graphs.
        permutation: see :func:`random_permutation`.
    """
    plain, permuted = model(graph), model(graph.permute(permutation))
    if isinstance(plain, Tensor) or isinstance(permuted, Tensor):
        expected, actual = [plain], [permuted]
    else:
        expected, actual = permutation.edges(plain), list(permuted)  # type: ignore[assignment]
    scale = max(float(e.abs().max()) for e in expected)  # type: ignore[union-attr]
    worst = max(float((e - a).abs().max()) for e, a in zip(expected, actual, strict=True))  # type: ignore[operator]
    return worst / max(scale, 1e-12)


def assert_equivariant(model: Callable[[KANGraph], Output], graph: KANGraph, *, seed: int = 0, draws: int = 3) -> None:
    """Raise unless a model is equivariant to some random permutations, up to rounding.

    Raises:
        AssertionError: The relative error exceeds 200 times the rounding error of the dtype.
    """
    bound = 200 * torch.finfo(graph.edges[0].dtype).eps
    for draw in range(draws):
        error = equivariance_error(model, graph, random_permutation(graph.widths, seed + draw, len(graph)))
        assert error <= bound, (
            f"relative equivariance error {error:.2e}, but rounding in {graph.edges[0].dtype} is at most {bound:.1e}"
        )
