"""How far a model is from respecting the symmetry of Proposition 3.1."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from wskan.graph import KANGraph

Output = Tensor | Sequence[Tensor]


def random_permutations(widths: Sequence[int], seed: int) -> list[Tensor]:
    """A random permutation of each hidden layer, not all of them the identity.

    Raises:
        ValueError: no hidden layer has two neurons, so there is only the identity.
    """
    hidden = list(widths[1:-1])
    if max(hidden, default=0) < 2:
        raise ValueError(f"widths {tuple(widths)} have no other permutation than the identity")
    generator = torch.Generator().manual_seed(seed)
    while True:
        permutations = [torch.randperm(n, generator=generator) for n in hidden]
        if any(not torch.equal(p, torch.arange(len(p))) for p in permutations):
            return permutations


@torch.no_grad()
def equivariance_error(model: Callable[[KANGraph], Output], graph: KANGraph, permutations: Sequence[Tensor]) -> float:
    """Largest difference between the output for permuted graphs and the permuted output, relative to the largest output.

    Args:
        model: anything from graphs to ``[B, ...]`` (to be invariant) or one ``[B, n_l, n_{l+1}, ...]`` a layer (to be equivariant).
        graph: some graphs.
        permutations: one a hidden layer, see :func:`random_permutations`.
    """
    plain, permuted = model(graph), model(graph.permute(list(permutations)))
    if isinstance(plain, Tensor) or isinstance(permuted, Tensor):
        expected, found = [plain], [permuted]
    else:
        order = [torch.arange(graph.widths[0]), *permutations, torch.arange(graph.widths[-1])]
        expected = [block[:, order[i]][:, :, order[i + 1]] for i, block in enumerate(plain)]
        found = list(permuted)
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
        error = equivariance_error(model, graph, random_permutations(graph.widths, seed + draw))
        assert error <= bound, (
            f"relative equivariance error {error:.2e}, at most {bound:.1e} is rounding ({graph.edges[0].dtype})"
        )
