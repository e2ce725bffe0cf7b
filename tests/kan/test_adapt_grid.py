import sys

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from wskan.kan import KANSpec, Population, adapt_grid

adapt_grid_module = sys.modules["wskan.kan.adapt_grid"]


@given(st.integers(0, 1000))
def test_knots_follow_the_batch_and_the_function_stays(seed: int) -> None:
    spec = KANSpec(widths=(2, 4, 1), grid=6)
    population = Population.init(spec, [seed, seed + 1], noise_scale=3.0)
    x = torch.rand(2, 200, 2, generator=torch.Generator().manual_seed(seed)) * 1.2 - 0.6
    adapted = adapt_grid(population, x)
    knots = adapted.layers[0].knots[..., 3:-3]
    torch.testing.assert_close(knots[..., 0], x.amin(1))
    torch.testing.assert_close(knots[..., -1], x.amax(1))
    assert (knots.diff(dim=-1) > 0).all()
    before, after = population(x), adapted(x)  # splines on other knots: close, not equal
    assert (before - after).square().mean() < 0.05 * before.var()


def test_refitting_on_the_same_knots_changes_nothing() -> None:
    spec = KANSpec(widths=(1, 1), grid=5)
    x = torch.linspace(-1, 1, 101)[None, :, None]
    once = adapt_grid(Population.init(spec, [0]), x, grid_eps=1.0)
    torch.testing.assert_close(once(x), Population.init(spec, [0])(x), atol=1e-5, rtol=0)


def test_a_broken_kan_does_not_break_its_neighbours() -> None:
    spec = KANSpec(widths=(2, 3, 1))
    population, x = Population.init(spec, [0, 1]), torch.rand(2, 50, 2)
    alone = adapt_grid(population[1], x[1:])(x[1:])
    x[0, 0, 0] = float("nan")
    adapted = adapt_grid(population, x)
    assert adapted.is_finite().tolist() == [False, True]
    torch.testing.assert_close(adapted[1](x[1:]), alone)


def test_a_cut_off_leaves_out_what_hardly_a_sample_sees() -> None:
    """Two basis functions, one of them all but zero on the samples."""
    new = torch.tensor([[1.0, 1e-3], [1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    old = torch.tensor([[1.5], [1.0], [1.0]], dtype=torch.float64)
    exact, cut = (adapt_grid_module._least_squares(new, old, rcond) for rcond in (None, 1e-2))
    torch.testing.assert_close(new @ exact, old)
    assert exact[1] > 400
    assert cut.abs().max() < 1.2
    assert (new @ cut - old).abs().max() < 0.5


def test_the_cut_off_reaches_the_refit_of_a_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    solve = adapt_grid_module._least_squares
    monkeypatch.setattr(adapt_grid_module, "_least_squares", lambda *args: seen.append(args[2]) or solve(*args))
    adapt_grid(Population.init(KANSpec(widths=(2, 3, 1)), [0]), torch.rand(1, 50, 2), rcond=1e-3)
    assert seen == [1e-3, 1e-3]
