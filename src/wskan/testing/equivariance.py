"""How far a model is from respecting the symmetry of Proposition 3.1."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from wskan.graph import KANGraph
from wskan.kan import Permutation

Output = Tensor | Sequence[Tensor]


def random_permutation(widths: Sequence[int], seed: int, size: int = 1) -> Permutation:
    """A random permutation of the hidden neurons of each of ``size`` KANs, not the identity for all of them.

    Raises:
        ValueError: no hidden layer has two neurons, so there is only the identity.
    """
    if max(widths[1:-1], default=0) < 2:
        raise ValueError(f"widths {tuple(widths)} have no other permutation than the identity")
    generator = torch.Generator().manual_seed(seed)
    while (permutation := Permutation.random(widths, size, generator)).is_identity:
        pass
    return permutation


@torch.no_grad()
def equivariance_error(model: Callable[[KANGraph], Output], graph: KANGraph, permutation: Permutation) -> float:
    """Largest difference between the output for permuted graphs and the permuted output, relative to the largest output.

    Args:
        model: anything from graphs to ``[B, ...]`` (to be invariant) or one ``[B, n_l, n_{l+1}, ...]`` a layer (to be equivariant).
        graph: some graphs.
        permutation: see :func:`random_permutation`.
    """
    plain, permuted = model(graph), model(graph.permute(permutation))
    if isinstance(plain, Tensor) or isinstance(permuted, Tensor):
        expected, found = [plain], [permuted]
    else:
        expected, found = permutation.edges(plain), list(permuted)  # type: ignore[assignment]
    scale = max(float(e.abs().max()) for e in expected)  # type: ignore[union-attr]
    worst = max(float((e - f).abs().max()) for e, f in zip(expected, found, strict=True))  # type: ignore[operator]
    return worst / max(scale, 1e-12)


def assert_equivariant(model: Callable[[KANGraph], Output], graph: KANGraph, *, seed: int = 0, draws: int = 3) -> None:
    """Check some random permutations, as strictly as the dtype allows.

    Raises:
        AssertionError: naming the error.
    """
    bound = 200 * torch.finfo(graph.edges[0].dtype).eps
    for draw in range(draws):
        error = equivariance_error(model, graph, random_permutation(graph.widths, seed + draw, len(graph)))
        assert error <= bound, (
            f"relative equivariance error {error:.2e}, at most {bound:.1e} is rounding ({graph.edges[0].dtype})"
        )
