"""Laws of every basis: B-splines, radial basis functions, Chebyshev polynomials, Fourier series, wavelets."""

import dataclasses
import itertools
import math
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from other_bases import OTHERS, SHAPES, WIDTHS, spec_of
from torch import Tensor

from wskan.errors import DataError
from wskan.kan import (
    BASES,
    FitConfig,
    KANSpec,
    Permutation,
    Population,
    adapt_grid,
    canonicalize,
    edge_functions,
    fit_population,
    fold,
    negate_neurons,
    scale_edges,
    shift_edges,
)
from wskan.testing import random_permutation, random_population

CONSTANT, MIRRORED = ("bspline", "chebyshev", "fourier"), ("bspline",)  # what holds a constant; a straight line, too
names, seeds = st.sampled_from(list(SHAPES)), st.integers(0, 10**6)


def draw(basis: str, seed: int, **options: Any) -> Population:
    return random_population(WIDTHS, 3, seed, basis=basis, **SHAPES[basis], **options).to(torch.float64)


def edges(seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(3, n, m, generator=generator) for n, m in itertools.pairwise(WIDTHS)]


def inputs(seed: int, size: int = 20) -> Tensor:
    """Some outside the domain of any grid."""
    return torch.randn(3, size, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 1.5


def test_every_basis_is_tested_here() -> None:
    assert list(SHAPES) == list(BASES)


# The functions themselves ---------------------------------------------------------------------------------------------


@given(names, seeds, st.booleans())
def test_sizes_are_those_announced_and_slopes_are_derivatives(basis: str, seed: int, adapted: bool) -> None:
    kans, functions = draw(basis, seed, adapted=adapted), spec_of(basis).basis_functions
    knots = kans.layers[0].knots
    assert knots.shape[-1] == functions.num_knots
    assert functions.inner(knots).shape[-1] == functions.grid + 1
    x = inputs(seed).mT.contiguous().requires_grad_()  # [K, in, B]
    values = functions.values(x, knots)
    assert values.shape == (*x.shape, functions.size)
    slopes = functions.slopes(x, knots)
    for index in range(functions.size):
        (gradient,) = torch.autograd.grad(values[..., index].sum(), x, retain_graph=True)
        torch.testing.assert_close(slopes[..., index], gradient)


@given(names, seeds)
def test_kans_are_linear_in_the_coefficients_of_their_last_layer(basis: str, seed: int) -> None:
    kans, x = draw(basis, seed), inputs(seed)
    last = kans.layers[-1]
    parts = []
    for weights, coef in (
        (last.base_weight, last.coef * 0),
        (last.base_weight * 0, last.coef),
        (last.base_weight, last.coef * 3),
    ):
        layer = dataclasses.replace(last, base_weight=weights, coef=coef)
        parts.append(Population(kans.spec, [*kans.layers[:-1], layer])(x))
    torch.testing.assert_close(parts[0] + 3 * parts[1], parts[2])


@given(names, seeds)
def test_a_mirrored_function_is_one_of_them(basis: str, seed: int) -> None:
    kans, functions = draw(basis, seed), spec_of(basis).basis_functions
    knots, coef = kans.layers[0].knots, kans.layers[0].coef[:, :, 0]  # [K, in, T], [K, in, C]
    x = inputs(seed).mT
    here = (functions.values(-x, knots) * coef.unsqueeze(-2)).sum(-1)
    there = (functions.values(x, -knots.flip(-1)) * functions.mirror(coef).unsqueeze(-2)).sum(-1)
    torch.testing.assert_close(there, here)


@given(st.sampled_from(CONSTANT), seeds)
def test_the_constant_is_one_and_its_level_is_linear_and_kept_by_mirroring(basis: str, seed: int) -> None:
    kans, functions = draw(basis, seed), spec_of(basis).basis_functions
    constant = functions.constant_coefficients()
    assert constant is not None
    inner = functions.inner(kans.layers[0].knots)
    u = torch.rand(3, 2, 30, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x = inner[..., :1] + u * (inner[..., -1:] - inner[..., :1])
    values = functions.values(x, kans.layers[0].knots) @ constant.double()
    torch.testing.assert_close(values, torch.ones_like(values))
    coef = kans.layers[0].coef
    torch.testing.assert_close(functions.constant_part(coef + 2 * constant), functions.constant_part(coef) + 2)
    torch.testing.assert_close(functions.constant_part(functions.mirror(coef)), functions.constant_part(coef))


def test_radial_basis_functions_are_those_of_a_plain_fastkan_layer() -> None:
    """RadialBasisFunction, SplineLinear and base_linear, without a layer norm."""
    spec = KANSpec(widths=(3, 5), basis="rbf", grid=7, degree=0, domain=(-2.0, 2.0))
    kan, x = Population.init(spec, [0]), torch.randn(50, 3) * 2
    layer = kan.layers[0]
    base_linear, spline_linear = torch.nn.Linear(3, 5), torch.nn.Linear(3 * 8, 5, bias=False)
    with torch.no_grad():
        base_linear.weight.copy_(layer.base_weight[0].T)
        base_linear.bias.zero_()
        spline_linear.weight.copy_(layer.coef[0].permute(1, 0, 2).flatten(1))
        centres = torch.linspace(-2, 2, 8)
        basis = torch.exp(-(((x[..., None] - centres) / (4 / 7)) ** 2))
        expected = spline_linear(basis.flatten(1)) + base_linear(torch.nn.functional.silu(x))
    torch.testing.assert_close(kan(x)[0], expected)


def test_chebyshev_polynomials_are_cosines_of_multiples_of_the_angle() -> None:
    functions, x = spec_of("chebyshev").basis_functions, torch.linspace(-3, 3, 41, dtype=torch.float64)
    expected = (torch.arange(6) * x.tanh().acos()[:, None]).cos()
    torch.testing.assert_close(functions.values(x, functions.knots().double()), expected)


def test_on_one_period_of_the_sine_fourier_series_are_those_of_fourierkan() -> None:
    functions = spec_of("fourier", domain=(-math.pi, math.pi)).basis_functions
    x, order = torch.linspace(-5, 5, 41, dtype=torch.float64), torch.arange(1, 4)
    expected = torch.cat([torch.ones(41, 1), (order * x[:, None]).cos(), (order * x[:, None]).sin()], 1)
    torch.testing.assert_close(functions.values(x, functions.knots().double()), expected, rtol=0, atol=1e-5)


def test_wavelets_have_mean_zero_and_norm_one_at_each_dilation() -> None:
    functions = spec_of("wavelet", grid=1, degree=2, domain=(-1.0, 1.0)).basis_functions
    x = torch.linspace(-40, 40, 400_001, dtype=torch.float64)
    values = functions.values(x, functions.knots().double())  # at 2 + 3 + 5 places, of widths 2, 1 and 1/2
    widths = torch.tensor([2.0] * 2 + [1.0] * 3 + [0.5] * 5, dtype=torch.float64)
    torch.testing.assert_close(
        torch.trapezoid(values, x, dim=0), torch.zeros(10, dtype=torch.float64), rtol=0, atol=1e-6
    )
    torch.testing.assert_close(torch.trapezoid(values**2, x, dim=0), widths, rtol=1e-6, atol=0)
    peaks = x[values.argmax(0)]
    expected = torch.cat([torch.linspace(-1, 1, n + 1) for n in (1, 2, 4)])
    torch.testing.assert_close(peaks.float(), expected, rtol=0, atol=1e-3)


# Symmetries -----------------------------------------------------------------------------------------------------------


@given(names, seeds)
def test_permutation_scale_and_fold_keep_the_function(basis: str, seed: int) -> None:
    kans, x = draw(basis, seed), inputs(seed)
    others = kans.permute(random_permutation(WIDTHS, seed, 3)), scale_edges(kans, edges(seed)), fold(kans)
    for other in others:
        torch.testing.assert_close(other(x), kans(x), rtol=1e-6, atol=1e-6 * float(kans(x).abs().max()))


@given(st.sampled_from(["chebyshev", "fourier"]), seeds, st.sampled_from(["identity", "zero"]))
def test_shift_sign_and_gauge_hold_everywhere_where_the_constant_does(basis: str, seed: int, base: str) -> None:
    kans, x = draw(basis, seed, base=base, keep=1.0), inputs(seed)  # without edges, the sign of a neuron is free
    which = [torch.rand(3, n, generator=torch.Generator().manual_seed(seed)) < 0.5 for n in WIDTHS[1:-1]]
    shifted, negated = shift_edges(kans, edges(seed)), negate_neurons(kans, which)
    gauge = canonicalize(kans)
    for other in (shifted, negated, gauge):
        torch.testing.assert_close(other(x), kans(x), rtol=1e-6, atol=1e-6 * float(kans(x).abs().max()))
    again = canonicalize(negate_neurons(scale_edges(shifted, edges(seed)), which))
    for a, b in zip(gauge.population.layers, again.population.layers, strict=True):
        torch.testing.assert_close(a.coef * a.mask.unsqueeze(-1), b.coef * b.mask.unsqueeze(-1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("basis", ["rbf", "wavelet"])
def test_mirrored_functions_without_a_constant_have_the_sign_alone(basis: str) -> None:
    kans, x = draw(basis, 0, base="zero"), inputs(0)
    negated = negate_neurons(kans, [torch.ones(3, n, dtype=torch.bool) for n in WIDTHS[1:-1]])
    torch.testing.assert_close(negated(x), kans(x), rtol=1e-6, atol=1e-6 * float(kans(x).abs().max()))
    with pytest.raises(DataError, match="constant"):
        shift_edges(kans, edges(0))
    with pytest.raises(DataError, match="constant"):
        canonicalize(kans)


@pytest.mark.parametrize("basis", OTHERS)
def test_what_does_not_hold_is_refused(basis: str) -> None:
    kans, x = draw(basis, 0), inputs(0)
    with pytest.raises(DataError, match="straight line"):
        negate_neurons(kans, [torch.ones(3, n, dtype=torch.bool) for n in WIDTHS[1:-1]])
    with pytest.raises(DataError, match="adapt_grid=False"):
        adapt_grid(kans, x)
    with pytest.raises(DataError, match="adapt_grid=False"):
        fit_population(kans.spec, x[0].float(), torch.zeros(3, 20, 2), torch.arange(3), FitConfig(steps=1))


# Descriptions ---------------------------------------------------------------------------------------------------------


@given(st.permutations(list(SHAPES)))
@settings(max_examples=5)
def test_functions_of_one_function_agree_whatever_it_is_written_in(order: list[str]) -> None:
    """A smooth function fitted by least squares in two bases."""
    found = []
    x = torch.linspace(-1, 1, 400, dtype=torch.float64)
    for basis in order[:2]:
        rich = {"bspline": 12, "rbf": 14, "chebyshev": 1, "fourier": 10, "wavelet": 3}[basis]
        degree = {"bspline": 3, "chebyshev": 14, "wavelet": 3}.get(basis, 0)
        spec = KANSpec(widths=(1, 1), basis=basis, grid=rich, degree=degree, base="zero")
        kan = Population.init(spec, [0]).to(torch.float64)
        design = spec.basis_functions.values(x, kan.layers[0].knots[0, 0])
        coef = torch.linalg.lstsq(design, ((5 * x + 1) * (-8 * x * x).exp())[:, None], driver="gelsd").solution[:, 0]
        layer = dataclasses.replace(
            kan.layers[0], coef=coef.view(1, 1, 1, -1), spline_weight=torch.ones(1, 1, 1).double()
        )
        found.append(edge_functions(Population(spec, [layer]), 12)[0])
    for one, other, tolerance in zip(*found, (0.01, 0.1), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=tolerance)


@pytest.mark.parametrize("basis", list(SHAPES))
def test_dictionaries_tensors_and_rows_round_trip(basis: str) -> None:
    spec = spec_of(basis)
    assert KANSpec.from_dict(spec.to_dict()) == spec
    assert ("basis" in spec.to_dict()) is (basis != "bspline")
    for kans in (Population.init(spec, range(3)), random_population(WIDTHS, 3, 0, basis=basis, **SHAPES[basis])):
        x = torch.rand(5, 2)
        again = Population.from_tensors(kans.spec, kans.tensors())
        assert torch.equal(again(x), kans(x))
        torch.testing.assert_close(Population.cat([kans[:1], kans[1:]])(x), kans(x))
        assert basis in repr(kans)
    permutation = Permutation.identity(WIDTHS)
    assert kans.permute(permutation).spec == kans.spec


@given(names, seeds, st.floats(0.01, 10))
def test_initial_coefficients_are_proportional_to_their_scale(basis: str, seed: int, scale: float) -> None:
    spec = spec_of(basis)
    usual, other = Population.init(spec, [seed]), Population.init(spec, [seed], noise_scale=scale)
    for a, b in zip(usual.layers, other.layers, strict=True):
        torch.testing.assert_close(b.coef, a.coef * (scale / spec.basis_functions.noise_scale), rtol=1e-4, atol=1e-7)
        assert torch.equal(a.base_weight, b.base_weight)


def test_initial_coefficients_are_as_large_as_in_their_libraries() -> None:
    expected = {
        "rbf": 0.1,
        "chebyshev": 1 / (40 * 6),
        "fourier": 1 / math.sqrt(40 * 3),
        "wavelet": 1 / math.sqrt(3 * 40 * 8),
    }
    for basis, deviation in expected.items():
        layer = Population.init(spec_of(basis, (40, 50)), [3]).layers[0]
        coef = layer.coef[..., 1:]  # without the constant
        assert coef.std() == pytest.approx(deviation, rel=0.05)
        assert (layer.spline_weight == 1).all()
        assert layer.base_weight.abs().max() <= 40**-0.5


@pytest.mark.parametrize(
    "data",
    [
        {"basis": "splines"},
        {"basis": ["rbf"]},
        {"basis": None},
        {"basis": "rbf", "degree": 3},
        {"basis": "fourier", "degree": 1},
        {"basis": "chebyshev", "grid": 5},
        {"basis": "wavelet", "degree": 7},
        {"basis": "wavelet", "degree": -1},
    ],
)
def test_bad_specifications_are_refused(data: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        KANSpec.from_dict({"widths": [2, 1], **data})
