"""Every basis is fitted and evaluated, in the kernel as in PyTorch."""

import pytest
import torch
from other_bases import OTHERS, SHAPES, spec_of

from wskan.kan import (
    Engine,
    FitConfig,
    KANSpec,
    accuracy,
    activations,
    edge_scores,
    evaluate,
    fit_population,
    kernel,
    oracle_masks,
    outputs,
)
from wskan.testing import random_population

ENGINES = [
    pytest.param(
        "kernel", marks=pytest.mark.skipif(kernel.unavailable(KANSpec(widths=(2, 1))) is not None, reason="no compiler")
    ),
    "torch",
]


@pytest.mark.parametrize("basis", OTHERS)
@pytest.mark.parametrize("engine", ENGINES)
def test_learns_a_function(basis: str, engine: Engine) -> None:
    axis = torch.linspace(-1, 1, 14)
    x = torch.cartesian_prod(axis, axis)
    y = torch.sin(torch.tensor([[2.0, 1.0], [1.0, 3.0]]) @ x.T).unsqueeze(-1)
    config = FitConfig(steps=150, batch_size=64, adapt_grid=False)
    result = fit_population(spec_of(basis, (2, 8, 1)), x, y, torch.arange(2), config, engine=engine)
    assert (result.loss < 0.03 * y.var()).all()
    found = (result.population(x) - y).square().mean((1, 2)).double()
    torch.testing.assert_close(found, result.loss, rtol=1e-3, atol=1e-7)
    assert result.population.uniform_grid


@pytest.mark.parametrize("widths", [(2, 8, 1), (1, 20, 3), (3, 50, 7, 5)])
@pytest.mark.parametrize("base", ["silu", "identity", "zero"])
@pytest.mark.parametrize("basis", OTHERS)
@pytest.mark.skipif(kernel.unavailable(KANSpec(widths=(2, 1))) is not None, reason="no compiler")
def test_kernel_equals_torch(basis: str, base: str, widths: tuple[int, ...]) -> None:
    spec, generator = spec_of(basis, widths, base=base, domain=(-1.5, 1.0)), torch.Generator().manual_seed(1)
    x = torch.rand(3, 90, widths[0], generator=generator) * 3 - 1.5
    y = torch.randn(3, 90, widths[-1], generator=generator)
    config = FitConfig(steps=5, batch_size=50, adapt_grid=False, lr=1e-3, schedule="constant")
    fast, slow = (fit_population(spec, x, y, torch.arange(3), config, engine=e) for e in ("kernel", "torch"))
    torch.testing.assert_close(fast.loss, slow.loss, rtol=1e-3, atol=1e-6)
    for mine, other in zip(fast.population.layers, slow.population.layers, strict=True):
        for name in (
            "base_weight",
            "spline_weight",
            "coef",
        ):  # a step of Adam is 1e-3, whatever the gradient; few may differ
            difference = (getattr(mine, name) - getattr(other, name)).abs()
            assert (difference < 1e-4).float().mean() > 0.98, (name, difference.max())


@pytest.mark.parametrize("basis", OTHERS)
@pytest.mark.skipif(kernel.unavailable(KANSpec(widths=(2, 1))) is not None, reason="no compiler")
def test_kernel_evaluates_as_torch_on_grids_of_their_own(basis: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kans = random_population((3, 20, 2), 3, 0, basis=basis, **SHAPES[basis])
    x = (
        torch.randn(3, 300, 3, generator=torch.Generator().manual_seed(0)) * 3
    )  # far outside, too; 300 is no multiple of 16
    x[0, 0], x[0, 1] = 0.0, 30.0
    exact = kans.to(torch.float64)(x.double())
    error, rounding = ((found - exact).abs().mean() for found in (outputs(kans, x), kans(x)))
    assert error < 3 * rounding
    assert error < 3e-5
    fast = activations(kans, x)
    monkeypatch.setattr(evaluate, "by_kernel", lambda population: False)
    for a, b in zip(fast, activations(kans, x), strict=True):
        for name in ("edge_std", "edge_mean", "node_std"):
            torch.testing.assert_close(getattr(a, name), getattr(b, name), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("basis", OTHERS)
def test_classifiers_are_fitted_scored_and_pruned(basis: str) -> None:
    x = torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    labels = (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()
    config = FitConfig(steps=100, batch_size=50, loss="cross_entropy", adapt_grid=False)
    kans = fit_population(spec_of(basis, (2, 4)), x, labels.repeat(2, 1), torch.arange(2), config).population
    assert (accuracy(kans, x, labels) > 0.9).all()
    assert all(bool(scores.isfinite().all()) for scores in edge_scores(kans, x))
    pruned = kans.prune(oracle_masks(kans, x, threshold=0.05))
    assert pruned.layers[0].mask.sum() <= kans.layers[0].mask.sum()
