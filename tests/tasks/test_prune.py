import dataclasses
import sys
from pathlib import Path

import pytest
import torch

from wskan.errors import DataError
from wskan.graph import FeatureConfig
from wskan.kan.edges import join_edges
from wskan.models import WSKANConfig
from wskan.tasks import GraphDataset, PruningMask, Run, TrainConfig, get_task, predict_split, prune, train
from wskan.testing import FakeZoo, random_population
from wskan.zoo import Zoo

QUICK = TrainConfig(epochs=2, batch_size=16, warmup_steps=2, patience=0)


def run_for(zoo: Zoo, task: str, folder: Path) -> Run:
    goal = get_task(task)
    config = WSKANConfig(widths=zoo.spec.widths, edge_dim=FeatureConfig().edge_dim(zoo.spec), out_dim=1, readout=goal.readout, hidden=16, num_layers=2)  # fmt: skip
    return train(zoo, goal, config, QUICK, folder, device="cpu")


@pytest.fixture(scope="module")
def zoo() -> Zoo:
    return FakeZoo(classifiers=True)


@pytest.fixture(scope="module")
def run(zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_for(zoo, "pruning-mask", tmp_path_factory.mktemp("runs") / "masks")


def test_edges_left_are_those_above_the_threshold(zoo: Zoo, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    logits, _ = predict_split(run.model, GraphDataset(zoo, "test", run.task, run.features))
    assert isinstance(run.task, PruningMask)
    kans = zoo.population(zoo.split("test"))
    pruned = prune(run, kans)
    assert torch.equal(join_edges([layer.mask for layer in pruned.layers]) != 0, logits > run.task.threshold)
    assert all(torch.equal(a.coef, b.coef) for a, b in zip(kans.layers, pruned.layers, strict=True))
    monkeypatch.setattr(sys.modules["wskan.tasks.evaluation"], "EDGES", 1)  # one KAN at a time
    again = prune(run, kans)
    assert all(torch.equal(a.mask, b.mask) for a, b in zip(again.layers, pruned.layers, strict=True))


def test_pruned_edges_stay_pruned(zoo: Zoo, run: Run) -> None:
    kans = zoo.population(zoo.split("test"))
    none = kans.prune([torch.zeros_like(layer.mask) for layer in kans.layers])
    assert not any(bool(layer.mask.any()) for layer in prune(run, none).layers)


def test_other_runs_and_broken_kans_are_refused(zoo: Zoo, run: Run, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="accuracy-prediction"):
        prune(run_for(zoo, "accuracy-prediction", tmp_path / "run"), zoo.population(slice(None)))
    broken = zoo.population(zoo.split("test"))
    broken.layers[0].coef[1] = float("nan")
    with pytest.raises(DataError, match=r"\[1\]"):
        prune(run, broken)
    raw = dataclasses.replace(run, features=FeatureConfig(form="raw"))
    with pytest.raises(DataError, match="mean different things"):
        prune(raw, random_population(zoo.spec.widths, 2, 0, grid=zoo.spec.grid + 1))
