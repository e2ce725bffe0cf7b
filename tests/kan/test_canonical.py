"""What canonical forms promise: the same function, and one form for all KANs that a symmetry takes to each other."""

import hypothesis.strategies as st
import torch
from hypothesis import given
from kans_in_domain import assert_same, bases, degrees, draw, edges, grids, keeps, neurons, seeds
from torch import Tensor

from wskan.kan import CanonicalForm, Population, canonicalize, fold, negate_neurons, scale_edges, shift_edges


def parts(gauge: CanonicalForm) -> list[Tensor]:
    return [tensor for layer in gauge.population.layers for tensor in vars(layer).values()] + list(gauge.biases)


def with_incoming_edges(kans: Population) -> Population:
    """Every hidden neuron with one at least: the sign of a constant is nobody's."""
    for layer in kans.layers:
        layer.mask[:, 0] = 1
    return kans


@given(seeds, degrees, bases, grids, keeps)
def test_folding_changes_no_function_and_takes_out_scale(
    seed: int, degree: int, base: str, grid: str, keep: float
) -> None:
    kans, x = draw(seed, degree, base, grid, keep)
    assert_same(kans, fold(kans), 3 * x)
    for a, b in zip(fold(kans).layers, fold(scale_edges(kans, edges(seed))).layers, strict=True):
        torch.testing.assert_close(a.coef, b.coef)
        assert bool((b.spline_weight == 1).all())


@given(seeds, degrees, bases, grids, keeps)
def test_fixing_the_gauge_changes_no_function(seed: int, degree: int, base: str, grid: str, keep: float) -> None:
    kans, x = draw(seed, degree, base, grid, keep)
    gauge = canonicalize(kans)
    torch.testing.assert_close(gauge(x), kans(x), rtol=1e-6, atol=1e-6)
    for layer in gauge.population.layers:
        assert bool((layer.coef.mean(-1).abs() < 1e-9 * (1 + layer.coef.abs().amax(-1))).all())
    for layer in gauge.population.layers[:-1] if base == "silu" else ():
        assert bool(((layer.base_weight * layer.mask).sum(1) >= 0).all())


@given(seeds, degrees, bases, grids, keeps)
def test_one_gauge_for_all_that_scale_shift_and_sign_lead_to(
    seed: int, degree: int, base: str, grid: str, keep: float
) -> None:
    kans, _ = draw(seed, degree, base, grid, keep)
    kans = with_incoming_edges(kans)
    which = neurons(seed)
    which[0][:, 0] = True
    others = {
        "scale": scale_edges(kans, edges(seed)),
        "shift": shift_edges(kans, edges(seed)),
        "sign": negate_neurons(kans, which),
        "all": scale_edges(negate_neurons(shift_edges(kans, edges(seed)), which), edges(seed + 1)),
    }
    expected = parts(canonicalize(kans))
    for other in others.values():
        for a, b, mask in zip(parts(canonicalize(other)), expected, _masks(kans), strict=True):
            torch.testing.assert_close(a * mask, b * mask, rtol=1e-6, atol=1e-6)


def _masks(kans: Population) -> list[Tensor]:
    """Of each tensor of :func:`parts`: what belongs to a masked edge is nobody's either."""
    masks = []
    for layer in kans.layers:
        one = torch.ones((), dtype=layer.mask.dtype)
        masks += [layer.mask, layer.mask, layer.mask.unsqueeze(-1), one, one]
    return masks + [torch.ones((), dtype=torch.float64)] * len(kans.layers)


def test_there_is_no_sign_to_fix_with_constant_splines_and_silu() -> None:
    kans, x = draw(0, 0, "silu", "adapted", 1.0)
    gauge = canonicalize(kans)
    torch.testing.assert_close(gauge(x), kans(x))
    assert torch.equal(gauge.population.layers[0].base_weight, kans.layers[0].base_weight)


@given(st.integers(0, 10**6))
def test_the_sign_of_a_neuron_without_edges_stays(seed: int) -> None:
    kans, _ = draw(seed, 3, "silu", "adapted", 1.0)
    for layer in kans.layers:
        layer.mask.zero_()
    for a, b in zip(canonicalize(kans).population.layers, fold(kans).layers, strict=True):
        torch.testing.assert_close(a.coef, b.coef - b.coef.mean(-1, keepdim=True))
