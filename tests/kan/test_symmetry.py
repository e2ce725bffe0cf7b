"""What each symmetry promises: other weights, the same function in the domain."""

import dataclasses

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from kans_in_domain import WIDTHS, assert_same, bases, degrees, draw, edges, grids, keeps, neurons, seeds

from wskan.errors import DataError, ShapeError
from wskan.kan import (
    KANSpec,
    Population,
    bspline_basis,
    greville_abscissae,
    negate_neurons,
    outside_domain,
    scale_edges,
    shift_edges,
    symmetry_error,
)
from wskan.testing import in_domain, random_population


@given(seeds, degrees, bases, grids, keeps)
def test_scale_is_exact_everywhere(seed: int, degree: int, base: str, grid: str, keep: float) -> None:
    kans, x = draw(seed, degree, base, grid, keep)
    assert_same(kans, scale_edges(kans, edges(seed)), 3 * x)


@given(seeds, degrees, bases, grids, keeps)
def test_shift_is_exact_in_the_domain(seed: int, degree: int, base: str, grid: str, keep: float) -> None:
    kans, x = draw(seed, degree, base, grid, keep)
    other = shift_edges(kans, edges(seed))
    assert_same(kans, other, x)
    assert (other(1.5 * x) - kans(1.5 * x)).abs().max() > 1e-3  # and not outside of it


@given(seeds, degrees, bases, grids, keeps)
def test_sign_is_exact_in_the_domain(seed: int, degree: int, base: str, grid: str, keep: float) -> None:
    kans, x = draw(seed, degree, base, grid, keep)
    which = [torch.ones_like(one) for one in neurons(seed)] if seed % 3 == 0 else neurons(seed)
    which[0][:, 0] = True
    other = negate_neurons(kans, which)
    assert_same(kans, other, x)
    kept = kans.uniform_grid and kans.spec.domain[0] == -kans.spec.domain[1]
    assert other.uniform_grid == kept
    again = negate_neurons(other, which)  # twice is never
    for a, b in zip(again.layers, kans.layers, strict=True):
        torch.testing.assert_close(a.coef, b.coef)
        torch.testing.assert_close(a.knots, b.knots)
    splines = dataclasses.replace(kans.spec, base="zero")
    hidden, before = (population.layers[0](x.expand(3, -1, -1), splines) for population in (other, kans))
    sign = torch.where(which[0], -1, 1).unsqueeze(1)
    torch.testing.assert_close(hidden, before * sign)


@given(seeds)
def test_symmetries_of_edges_without_a_spline(seed: int) -> None:
    kans, _ = draw(seed, 3, "silu", "adapted", 0.8)
    for layer in kans.layers:
        layer.spline_weight[:, ::2] = 0
    kans, x = in_domain(kans, seed)
    assert_same(kans, shift_edges(kans, edges(seed)), x)
    assert_same(kans, negate_neurons(kans, [torch.ones(3, n, dtype=torch.bool) for n in WIDTHS[1:-1]]), x)


@given(seeds, degrees, st.booleans())
def test_greville_abscissae_are_the_straight_line(seed: int, degree: int, adapted: bool) -> None:
    knots = random_population(WIDTHS, 1, seed, degree=degree, adapted=adapted).layers[0].knots.double()
    t = torch.linspace(0, 1, 50, dtype=torch.float64)[:-1]
    x = knots[..., degree : degree + 1] + t * (knots[..., -1 - degree] - knots[..., degree]).unsqueeze(-1)
    line = (bspline_basis(x, knots, degree) * greville_abscissae(knots, degree).unsqueeze(-2)).sum(-1)
    torch.testing.assert_close(line, x)


def test_an_asymmetric_fixed_grid_is_mirrored() -> None:
    spec = KANSpec(widths=WIDTHS, domain=(-1.0, 3.0))
    kans = Population.init(spec, range(3)).to(torch.float64)
    x = torch.rand(40, 2, dtype=torch.float64)
    other = negate_neurons(kans, [torch.ones(3, n, dtype=torch.bool) for n in WIDTHS[1:-1]])
    assert not other.uniform_grid
    torch.testing.assert_close(other.layers[1].knots[0, 0, 3], torch.tensor(-3.0, dtype=torch.float64))
    torch.testing.assert_close(other(x), kans(x))


def test_activations_outside_are_counted_and_errors_measured() -> None:
    kans, x = draw(0, 3, "silu", "adapted", 1.0)
    assert not outside_domain(kans, x).any()
    far = torch.cat([x, x + 100, x - 100, x], -2)
    assert outside_domain(kans, far)[:, 0].tolist() == [0.5] * 3
    one = random_population((1, 1, 1), 1, 0)
    first = one.layers[0].knots[0, 0, 3]
    assert outside_domain(one, torch.stack([first - 1e-3, first + 1e-3]).unsqueeze(1)).tolist()[0][0] == 0.5
    other = shift_edges(kans, edges(0))
    assert (symmetry_error(kans, other, x) < 1e-4).all()
    assert (symmetry_error(kans, other, far.clamp(-3, 3)) > 1e-2).all()
    louder = Population(
        kans.spec,
        [
            *kans.layers[:-1],
            dataclasses.replace(
                kans.layers[-1], coef=2 * kans.layers[-1].coef, base_weight=2 * kans.layers[-1].base_weight
            ),
        ],
    )
    y = kans(x)
    expected = y.square().mean((1, 2)).sqrt() / (y - y.mean(1, keepdim=True)).square().mean((1, 2)).sqrt()
    torch.testing.assert_close(symmetry_error(kans, louder, x), expected.float(), rtol=1e-3, atol=1e-3)


def test_what_does_not_fit_is_refused() -> None:
    kans = random_population(WIDTHS, 3, 0)
    for act in (scale_edges, shift_edges):
        with pytest.raises(ShapeError, match="one value per edge"):
            act(kans, edges(0)[:2])
    with pytest.raises(DataError, match="not be zero"):
        scale_edges(kans, [torch.zeros_like(value) for value in edges(0)])
    with pytest.raises(ShapeError, match="hidden layer"):
        negate_neurons(kans, neurons(0)[:1])
    with pytest.raises(DataError, match="straight line"):
        negate_neurons(random_population(WIDTHS, 3, 0, degree=0), neurons(0))
    with pytest.raises(ShapeError):
        outside_domain(kans, torch.zeros(2, 5, 2))
    with pytest.raises(ShapeError, match="compared"):
        symmetry_error(kans, kans[:2], torch.zeros(5, 2))
    other_outputs = random_population((*WIDTHS[:-1], WIDTHS[-1] + 1), 3, 0)
    with pytest.raises(ShapeError, match="compared"):
        symmetry_error(kans, other_outputs, torch.zeros(5, 2))


def test_what_is_not_finite_in_the_precision_of_the_kans_is_refused() -> None:
    kans, tiny = random_population(WIDTHS, 3, 0), [torch.full_like(value, 1e-9) for value in edges(0)]
    scale_edges(kans, tiny)
    with pytest.raises(DataError, match="zero in torch"):
        scale_edges(kans.to(torch.float16), tiny)
    for act in (scale_edges, shift_edges):
        for bad in (float("nan"), 1e39):
            with pytest.raises(DataError, match="finite in torch"):
                act(kans, [torch.full(value.shape, bad, dtype=torch.float64) for value in edges(0)])
    with pytest.raises(DataError, match="bool"):
        negate_neurons(kans, [which.float() for which in neurons(0)])
    for x in (torch.full((5, WIDTHS[0]), float("nan")), torch.zeros(0, WIDTHS[0]), torch.zeros(5, WIDTHS[0] + 1)):
        with pytest.raises((DataError, ShapeError), match="x "):
            outside_domain(kans, x)
