import hypothesis.strategies as st
import torch
from hypothesis import given
from scipy.interpolate import BSpline

from wskan.kan import bspline_basis, extend_knots, uniform_knots
from wskan.kan.spline import bspline_slope

degrees, grids, seeds = st.integers(0, 5), st.integers(1, 12), st.integers(0, 10**6)


def random_knots(grid: int, degree: int, seed: int) -> torch.Tensor:
    """Increasing knots on [-1, 1] that are far from uniform, extended as pykan's."""
    steps = torch.rand(grid, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.05
    inner = torch.cat([torch.zeros(1, dtype=torch.float64), steps.cumsum(0)])
    return extend_knots(inner / inner[-1] * 2 - 1, degree)


@given(grids, degrees, seeds)
def test_equals_scipy(grid: int, degree: int, seed: int) -> None:
    knots = random_knots(grid, degree, seed)
    x = torch.linspace(-0.999, 0.999, 50, dtype=torch.float64)
    expected = BSpline.design_matrix(x.numpy(), knots.numpy(), degree).toarray()
    torch.testing.assert_close(bspline_basis(x, knots, degree), torch.from_numpy(expected), rtol=0, atol=1e-12)


@given(grids, degrees, seeds)
def test_sums_to_one_on_the_domain_and_vanishes_outside(grid: int, degree: int, seed: int) -> None:
    knots = random_knots(grid, degree, seed)
    inside = bspline_basis(torch.linspace(-1, 0.999, 40, dtype=torch.float64), knots, degree)
    torch.testing.assert_close(inside.sum(-1), torch.ones(40, dtype=torch.float64))
    outside = torch.stack([knots[0] - 1e-6, knots[-1], knots[-1] + 3])
    assert bspline_basis(outside, knots, degree).abs().max() == 0


@given(grids, st.integers(2, 5), seeds)
def test_gradient_is_the_derivative_twice_over(grid: int, degree: int, seed: int) -> None:
    knots = random_knots(grid, degree, seed)
    x = (
        torch.rand(7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 1.9 - 0.95
    ).requires_grad_()
    weight = torch.randn(
        knots.shape[0] - degree - 1, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64
    )
    spline = BSpline(knots.numpy(), weight.numpy(), degree)
    (first,) = torch.autograd.grad((bspline_basis(x, knots, degree) @ weight).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    torch.testing.assert_close(first.detach(), torch.from_numpy(spline.derivative(1)(x.detach().numpy())))
    torch.testing.assert_close(second, torch.from_numpy(spline.derivative(2)(x.detach().numpy())), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(bspline_slope(x, knots, degree).detach() @ weight, first.detach())


def test_batched_knots_equal_one_neuron_at_a_time() -> None:
    knots = torch.stack([random_knots(5, 3, seed) for seed in range(6)]).view(2, 3, -1)
    x = torch.rand(2, 3, 11, dtype=torch.float64) * 2 - 1
    basis = bspline_basis(x, knots, 3)
    assert basis.shape == (2, 3, 11, 8)
    for k in range(2):
        for i in range(3):
            torch.testing.assert_close(basis[k, i], bspline_basis(x[k, i], knots[k, i], 3))


def test_uniform_knots() -> None:
    torch.testing.assert_close(uniform_knots(2, 2, (-1.0, 1.0)), torch.arange(-3.0, 4.0))


def test_a_collapsed_grid_gives_zero_like_pykan() -> None:
    assert bspline_basis(torch.tensor([0.0, 1.0]), torch.zeros(12), 3).abs().max() == 0
