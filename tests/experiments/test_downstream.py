"""What pruning does, on KANs small enough to check by hand."""

import dataclasses

import pytest
import torch

from wskan.experiments.paper.downstream import SHARES, PruningCohort
from wskan.experiments.paper.label_noise import bin_by_noise
from wskan.kan import Population, accuracy
from wskan.zoo import get_recipe
from wskan.zoo.targets import load_labels

RECIPE = dataclasses.replace(get_recipe("digits-classifier"), train=1, val=1, test=1)


@pytest.fixture
def cohort() -> PruningCohort:
    return PruningCohort(population=Population.init(RECIPE.spec, range(3), noise_scale=5.0), labels=load_labels(RECIPE))


def test_what_is_kept_is_kept(cohort: PruningCohort) -> None:
    labels, edges = cohort.labels, RECIPE.spec.num_edges
    everything = torch.ones(3, edges, dtype=torch.bool)
    whole = 100 * accuracy(cohort.population, labels.test_inputs, labels.test_labels)
    torch.testing.assert_close(cohort.accuracy_with(everything), whole)
    blind = everything.clone()
    blind[:, : 64 * 32] = False  # without the first layer all images look alike
    assert (
        cohort.accuracy_with(blind) <= 100 * labels.test_labels.bincount().max() / len(labels.test_labels) + 1e-3
    ).all()


def test_one_threshold_for_all_kans(cohort: PruningCohort) -> None:
    score = torch.rand(3, RECIPE.spec.num_edges, generator=torch.Generator().manual_seed(0)) + torch.arange(3)[:, None]
    effect = cohort.effect(score, 1.5)
    assert effect["kept"][0] == 0
    assert effect["kept"][1] == pytest.approx(50, abs=3)
    assert effect["kept"][2] == 100
    torch.testing.assert_close(torch.tensor(effect["accuracy"]), cohort.accuracy_with(score > 1.5))
    assert list(effect["trade_off"]) == [f"{100 * share:g}" for share in SHARES]
    images = 2_000
    whole = cohort.accuracy_with(torch.ones_like(score, dtype=torch.bool), images).mean()
    assert effect["trade_off"]["100"] == pytest.approx(float(whole))


def test_shares_are_exact_among_equals(cohort: PruningCohort) -> None:
    effect = cohort.effect(torch.zeros(3, RECIPE.spec.num_edges), 0.0)
    nothing = cohort.accuracy_with(torch.zeros(3, RECIPE.spec.num_edges, dtype=torch.bool), 2_000).mean()
    first = torch.zeros(3 * RECIPE.spec.num_edges, dtype=torch.bool)
    first[: round(0.3 * len(first))] = True
    assert effect["trade_off"]["30"] == pytest.approx(float(cohort.accuracy_with(first.view(3, -1), 2_000).mean()))
    assert effect["kept"] == [0, 0, 0]
    assert torch.tensor(effect["accuracy"]).mean() == pytest.approx(float(nothing))


def test_bins_of_noise() -> None:
    noise = torch.tensor([0.0, 0.19, 0.2, 0.95, 1.0])
    found = bin_by_noise(noise, torch.arange(5.0))
    assert {middle: values.tolist() for middle, values in found.items()} == {
        "10": [0.0, 1.0],
        "30": [2.0],
        "90": [3.0, 4.0],
    }
