"""The edge MLP: kernel and PyTorch are one function, and so are their gradients."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from wskan.errors import ShapeError
from wskan.models.ops import edge_mlp_cpp as edge_mlp_kernel
from wskan.models.ops.edge_linear import EdgeLinear
from wskan.models.ops.edge_mlp import edge_mlp, mean_of_layer_norm
from wskan.models.ops.layers import Dropout, LayerNorm

needs_kernel = pytest.mark.skipif(
    not edge_mlp_kernel.available(torch.zeros(1, 1, 1, 16), torch.float32, 16), reason="no C++ compiler"
)


class Case:
    """An MLP of random sizes, and its arguments."""

    def __init__(self, seed: int, size: int, n: int, m: int, f: int, h: int, out: int, ends: str) -> None:
        torch.manual_seed(seed)
        self.norm, self.second = LayerNorm(f), nn.Linear(h, out)
        nn.init.normal_(self.norm.weight), nn.init.normal_(self.norm.bias)
        self.x = (2 * torch.randn(size, n, m, f) + 1).requires_grad_()
        self.weight = (torch.randn(h, f) / 4).requires_grad_()
        self.source = torch.randn(size, n, h).requires_grad_() if "s" in ends else None
        self.target = torch.randn(size, m, h).requires_grad_() if "t" in ends else None
        self.given = torch.randn(size, n, m, out)
        self.residual = out == f

    def leaves(self) -> list[Tensor]:
        parameters = [*self.norm.parameters(), *self.second.parameters()]
        return [t for t in (self.x, self.weight, self.source, self.target, *parameters) if t is not None]

    def run(self, function: Callable[..., Tensor], bf16: bool = False) -> list[Tensor]:
        for leaf in self.leaves():
            leaf.grad = None
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            out = function(self)
        (out.float() * self.given).sum().backward()
        return [out.float().detach(), *(leaf.grad for leaf in self.leaves() if leaf.grad is not None)]


def ours(case: Case) -> Tensor:
    first = EdgeLinear(case.weight, case.source, case.target)
    return edge_mlp(case.x, case.norm, first, case.second, residual=case.residual)


def plain(case: Case) -> Tensor:
    total = F.linear(case.norm(case.x), case.weight)
    total = total if case.source is None else total + case.source.unsqueeze(2)
    total = total if case.target is None else total + case.target.unsqueeze(1)
    new = case.second(F.silu(total))
    return case.x + new if case.residual else new


cases = st.builds(
    Case,
    st.integers(0, 999),
    st.integers(1, 3),
    st.integers(1, 9),
    st.integers(1, 60),
    st.sampled_from([16, 32, 48]),
    st.sampled_from([16, 32, 64]),
    st.sampled_from([1, 3, 16, 32, 48]),
    st.sampled_from(["", "s", "t", "st"]),
)


@needs_kernel
@given(cases)
def test_kernel_is_plain_pytorch(case: Case) -> None:
    for a, b in zip(case.run(ours), case.run(plain), strict=True):
        torch.testing.assert_close(a, b, rtol=2e-4, atol=2e-4)


@needs_kernel
@given(cases)
def test_kernel_in_bf16_is_near(case: Case) -> None:
    if not edge_mlp_kernel.available(case.x, torch.bfloat16, len(case.weight)):
        pytest.skip("no bfloat16 on this processor")
    for a, b in zip(case.run(ours, bf16=True), case.run(plain), strict=True):
        assert (a - b).norm() <= 0.03 * b.norm() + 0.05 * b.numel() ** 0.5


@given(cases)
def test_without_kernel_it_is_the_same(case: Case) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edge_mlp_kernel, "available", lambda *_: False)
        found = case.run(ours)
    for a, b in zip(found, case.run(plain), strict=True):
        torch.testing.assert_close(a, b, rtol=2e-4, atol=2e-4)


@needs_kernel
@pytest.mark.parametrize("p", [0.2, 0.5])
def test_dropout_drops_its_share_and_keeps_the_mean(p: float) -> None:
    case = Case(0, 3, 5, 200, 32, 16, 32, "s")
    first = EdgeLinear(case.weight, case.source, None)

    def run(dropout: Dropout | None) -> Tensor:
        return edge_mlp(case.x, case.norm, first, case.second, dropout=dropout, residual=True) - case.x

    with torch.no_grad():
        whole, dropped, again = run(None), run(Dropout(p)), run(Dropout(p))
        assert torch.allclose(run(Dropout(p).eval()), whole)
    kept = dropped.abs() > 1e-6
    torch.testing.assert_close(dropped[kept], whole[kept] / (1 - p), rtol=1e-4, atol=1e-5)
    share = kept.float()
    for dim in (0, 1, 2, 3):  # no row, column or graph is different
        others = [d for d in range(4) if d != dim]
        count = kept.numel() / kept.shape[dim]
        assert ((share.mean(others) - (1 - p)).abs() < 5 * (p * (1 - p) / count) ** 0.5).all()
    assert not torch.equal(kept, again.abs() > 1e-6)


@needs_kernel
def test_dropout_is_the_same_in_the_backward_pass_and_follows_the_seed() -> None:
    case = Case(1, 2, 3, 40, 16, 32, 16, "st")
    dropout = Dropout(0.3)

    def run(case: Case) -> Tensor:
        torch.manual_seed(5)
        first = EdgeLinear(case.weight, case.source, case.target)
        return edge_mlp(case.x, case.norm, first, case.second, dropout=dropout, residual=True)

    case.run(plain)
    with torch.no_grad():
        factor = (run(case) - case.x) / (plain(case) - case.x)
    factor = (factor > 0.5) / 0.7

    def masked(case: Case) -> Tensor:
        return case.x + (plain(case) - case.x) * factor

    for a, b in zip(case.run(run), case.run(masked), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


@needs_kernel
@given(cases, st.booleans(), st.sampled_from(["mean", "rest", "both"]), st.booleans())
def test_mean_of_normalised_states(case: Case, masked: bool, used: str, bf16: bool) -> None:
    if bf16 and not edge_mlp_kernel.available(case.x, torch.bfloat16, case.x.shape[-1]):
        pytest.skip("no bfloat16 on this processor")
    exist = torch.rand(case.x.shape[0], case.x.shape[1] * case.x.shape[2]) < 0.5 if masked else None

    def run(bf16: bool) -> list[Tensor]:
        x = case.x.detach().flatten(1, 2).requires_grad_()
        case.norm.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            mean, rest = mean_of_layer_norm(x, case.norm, exist)
        mean, rest = mean.float(), rest.float()
        terms = {"mean": mean * torch.linspace(-1, 1, mean.numel()).view_as(mean), "rest": rest.square()}
        sum(term.sum() for name, term in terms.items() if used in (name, "both")).backward()
        return [mean.detach(), *(p.grad for p in (x, *case.norm.parameters()) if p.grad is not None)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edge_mlp_kernel, "available", lambda *_: False)
        expected = run(bf16=False)
    for a, b in zip(run(bf16), expected, strict=True):
        if bf16:
            assert (a - b).norm() <= 0.02 * b.norm() + 1e-2
        else:
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@needs_kernel
def test_the_kernels_on_lesser_processors(lesser: Any) -> None:
    library = lesser(edge_mlp_kernel)
    test_kernel_is_plain_pytorch()
    if library.wskan_edge_mlp_bfloat16():
        test_kernel_in_bf16_is_near()
        test_mean_of_normalised_states()


@needs_kernel
def test_wrong_shapes_are_refused() -> None:
    case = Case(0, 2, 3, 4, 16, 16, 16, "s")
    first = EdgeLinear(case.weight, torch.zeros(2, 4, 16), None)
    with pytest.raises(ShapeError, match="contiguous"):
        edge_mlp(case.x, case.norm, first, case.second)
    with pytest.raises(ShapeError, match="must return 16 numbers per edge, not 10"):
        edge_mlp(case.x, case.norm, EdgeLinear(case.weight, None, None), nn.Linear(16, 10), residual=True)
    for exist in (torch.ones(1, 12, dtype=torch.bool), torch.ones(2, 12)):
        with pytest.raises(ShapeError, match="bool"):
            mean_of_layer_norm(case.x.flatten(1, 2), case.norm, exist)
