"""Lemma 4.1 and Proposition 4.2: the family, the MLP, and measurements with them.

``tests/models/test_replay.py`` tests the construction itself.
"""

import dataclasses
import importlib
from pathlib import Path

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given

from wskan.experiments import EXPERIMENTS, SCALES, Request, Workspace, reproduce
from wskan.experiments.beyond.expressivity import DEPTHS, SIZES, key, lemma_errors, replay_errors, seconds, variation
from wskan.experiments.beyond.kan_family import Density, KANFamily, LemmaConfig, fit_univariate
from wskan.experiments.engine.reproduce import protocol
from wskan.kan import bspline_basis, uniform_knots
from wskan.models import UnivariateMLP

FAMILIES = st.builds(KANFamily, neurons=st.integers(1, 5), grid=st.integers(1, 5), degree=st.integers(1, 4))
REQUEST = Request(scale=SCALES["smoke"], datasets=("digits",), seeds=(0,))


@given(FAMILIES, st.integers(0, 10**6))
def test_no_neuron_leaves_the_domain(family: KANFamily, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    population = family.kans(generator, 3, 8)
    x = torch.cat([2 * torch.rand(30, family.neurons, generator=generator) - 1, torch.ones(1, family.neurons)])
    for layer in population.layers:
        x = layer(x.expand(8, -1, -1) if x.ndim == 2 else x, population.spec)
        assert x.abs().max() < 1


def test_deep_kans_still_depend_on_their_inputs() -> None:
    """Otherwise a constant would replay them."""
    sizes = SIZES["cpu"]
    within = []
    for depth in DEPTHS:
        outputs, inputs_alone = variation(sizes, depth)
        within.append(float(inputs_alone.square().mean().sqrt() / outputs.std()))
        torch.testing.assert_close(inputs_alone.mean(1), torch.zeros(sizes.kans, 1), rtol=0, atol=1e-6)
    assert within[2] > 0.15
    assert within[3] > 0.08


@given(FAMILIES, st.integers(0, 10**6))
def test_edge_functions_are_those_of_the_paper(family: KANFamily, seed: int) -> None:
    points = family.sample(torch.Generator().manual_seed(seed), 50)
    x, base, spline, coef = points[:, 0], points[:, 1], points[:, 2], points[:, 3:]
    basis = bspline_basis(x, uniform_knots(family.grid, family.degree, (-1, 1)), family.degree)
    expected = base * F.silu(x) + spline * (coef * basis).sum(-1)  # eq. 3
    torch.testing.assert_close(family.edge_function(x, points[:, 1:]), expected)


@pytest.mark.parametrize(("density", "expected"), [("uniform", 0.2), ("faces", 0.4097), ("vertices", 1.0)])
def test_points_fill_the_compact_set(density: Density, expected: float) -> None:
    family = KANFamily()
    points = family.sample(torch.Generator().manual_seed(0), 10_000, density=density)
    low, high = family.box
    shares = (points - low) / (high - low)
    assert bool(((shares >= 0) & (shares <= 1)).all())
    outer = ((shares < 0.1) | (shares > 0.9)).float().mean(0)  # 1 - 2/pi asin(0.8) towards the faces
    x = 0.2 if density == "vertices" else expected
    torch.testing.assert_close(outer, torch.tensor([x, *[expected] * 8]), rtol=0, atol=0.03)
    torch.testing.assert_close(shares.mean(0), torch.full((9,), 0.5), rtol=0, atol=0.03)


def test_the_perceptron_learns_and_repeats_itself() -> None:
    family, config = KANFamily(grid=2, degree=2), LemmaConfig(steps=600, samples=2**14)
    psi, again = (fit_univariate(family, config, 16, 3) for _ in range(2))
    errors = lemma_errors(psi, family)
    assert torch.equal(errors, lemma_errors(again, family))
    points = family.sample(torch.Generator().manual_seed(5), 1000)
    values = family.edge_function(points[:, 0], points[:, 1:])
    assert errors.square().mean().sqrt() < 0.4 * values.std()
    assert not torch.equal(errors, lemma_errors(fit_univariate(family, config, 16, 4), family))


def test_a_perfect_perceptron_replays_perfectly(monkeypatch: pytest.MonkeyPatch) -> None:
    """With equal coefficients an edge function is w_b silu(x) + w_s c: one unit of SiLU and a constant."""
    sizes, kans = SIZES["smoke"], KANFamily.kans

    def simple(family: KANFamily, generator: torch.Generator, depth: int, size: int):  # type: ignore[no-untyped-def]
        population = kans(family, generator, depth, size)
        for layer in population.layers:
            layer.base_weight.fill_(0.1)
            layer.spline_weight.fill_(0.2)
            layer.coef.fill_(0.5)
        return population

    monkeypatch.setattr(KANFamily, "kans", simple)
    psi = UnivariateMLP(8, 1, 1)
    with torch.no_grad():
        for parameter in psi.parameters():
            parameter.zero_()
        psi.linears[0].weight[0, 0] = 1
        psi.out.weight.fill_(0.1)
        psi.out.bias.fill_(0.1)
    for depth in DEPTHS:
        assert replay_errors(psi, sizes, depth)[0].max() < 1e-5
    with torch.no_grad():
        psi.out.bias.add_(0.01)
    assert replay_errors(psi, sizes, 1)[0].min() > 0.019


def test_what_is_measured_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace, experiment = Workspace(folder=tmp_path / "work", device="cpu"), EXPERIMENTS["expressivity"]
    assert seconds(workspace, REQUEST) > 0
    found = reproduce(experiment, REQUEST, workspace, tmp_path)
    assert found is not None
    assert "other measurements" in capsys.readouterr().out
    assert seconds(workspace, REQUEST) == 0
    module = importlib.import_module("wskan.experiments.beyond.expressivity")  # the experiment has its name, too
    monkeypatch.setattr(module, "fit_univariate", lambda *_: pytest.fail("trained again"))
    assert experiment.analyse(workspace, REQUEST).tables == found.tables
    sizes = SIZES["smoke"]
    assert not workspace.is_measured(key(sizes, sizes.widths[0], 1))
    assert not workspace.is_measured(key(dataclasses.replace(sizes, inputs=9), sizes.widths[0], 0))


def test_seeds_one_at_a_time(tmp_path: Path) -> None:
    workspace = Workspace(folder=tmp_path / "work", device="cpu")
    for seed in (0, 1):
        found = reproduce(EXPERIMENTS["expressivity"], dataclasses.replace(REQUEST, seeds=(seed,)), workspace, tmp_path)
    assert found is not None
    assert {len(cell.values) for table in found.tables for cell in table.cells.values()} == {2}


def test_sizes_belong_to_the_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(folder=tmp_path, device="cpu")

    def names() -> list[str]:
        return [protocol(EXPERIMENTS[name], REQUEST, workspace, {}) for name in ("expressivity", "table1")]

    before = names()
    monkeypatch.setitem(SIZES, "smoke", dataclasses.replace(SIZES["smoke"], kans=5))
    after = names()
    assert before[0] != after[0]
    assert before[1] == after[1]
