import dataclasses
import sys
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wskan.errors import DataError, ShapeError
from wskan.graph import FeatureConfig
from wskan.kan.edges import flatten_edges
from wskan.models import WSKANConfig
from wskan.tasks import GraphDataset, PruningMask, Run, TrainConfig, get_task, open_run, predict_split, train
from wskan.testing import FakeZoo, random_population
from wskan.zoo import Zoo

QUICK = TrainConfig(epochs=2, batch_size=16, warmup_steps=2, patience=0)


def run_for(zoo: Zoo, task: str, folder: Path) -> Run:
    goal = get_task(task)
    config = WSKANConfig(
        widths=zoo.spec.widths,
        edge_dim=FeatureConfig().edge_dim(zoo.spec),
        out_dim=1,
        readout=goal.readout,
        hidden=16,
        num_layers=2,
    )
    return train(zoo, folder, task=goal, model=config, config=QUICK, features=FeatureConfig(), device="cpu")


@pytest.fixture(scope="module")
def zoo() -> Zoo:
    return FakeZoo(classifiers=True)


@pytest.fixture(scope="module")
def run(zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_for(zoo, "pruning-mask", tmp_path_factory.mktemp("runs") / "masks")


@pytest.mark.filterwarnings("ignore:.*constant now")
def test_edges_left_are_those_above_the_threshold(zoo: Zoo, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    logits, _ = predict_split(run.model, GraphDataset(zoo, "test", run.task, run.features))
    assert isinstance(run.task, PruningMask)
    kans = zoo.population(zoo.split("test"))
    pruned = run.prune(kans)
    assert torch.equal(flatten_edges([layer.mask for layer in pruned.layers]) != 0, logits > run.task.threshold)
    assert all(torch.equal(a.coef, b.coef) for a, b in zip(kans.layers, pruned.layers, strict=True))
    monkeypatch.setattr(sys.modules["wskan.tasks.evaluation"], "MAX_EDGES", 1)  # one KAN at a time
    again = run.prune(kans)
    assert all(torch.equal(a.mask, b.mask) for a, b in zip(again.layers, pruned.layers, strict=True))


@pytest.mark.filterwarnings("ignore:.*constant now")
def test_half_precision_is_asked_for(zoo: Zoo, run: Run) -> None:
    kans = zoo.population(zoo.split("test"))
    single, half = run.predict(kans), run.predict(kans, precision="bf16")
    assert half.dtype == single.dtype == torch.float32
    assert not torch.equal(half, single), "products in bfloat16 round"
    torch.testing.assert_close(half, single, rtol=0.1, atol=0.1)
    pruned = run.prune(kans, precision="bf16")
    assert torch.equal(flatten_edges([layer.mask for layer in pruned.layers]) != 0, half > run.task.threshold)
    with pytest.raises(DataError, match="precision must be one of '32', 'bf16', got '16'"):
        run.predict(kans, precision="16")  # type: ignore[arg-type]


def test_pruned_edges_stay_pruned(zoo: Zoo, run: Run) -> None:
    kans = zoo.population(zoo.split("test"))
    none = kans.prune([torch.zeros_like(layer.mask) for layer in kans.layers])
    assert not any(bool(layer.mask.any()) for layer in run.prune(none).layers)


@given(share=st.floats(0, 1), seed=st.integers(0, 100))
@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.filterwarnings("ignore:.*constant now")
def test_a_share_keeps_the_best_edges_that_exist(zoo: Zoo, run: Run, share: float, seed: int) -> None:
    kans = zoo.population(slice(0, 4))
    generator = torch.Generator().manual_seed(seed)
    kans = kans.prune([torch.rand(layer.mask.shape, generator=generator) < 0.7 for layer in kans.layers])
    exist = flatten_edges([layer.mask != 0 for layer in kans.layers])
    keep = flatten_edges([layer.mask != 0 for layer in run.prune(kans, share=share).layers])
    assert torch.equal(keep & exist, keep)
    assert torch.equal(keep.sum(1), (share * exist.sum(1)).round().long())
    logits = run.predict(kans)
    for kept, left, score in zip(keep, exist & ~keep, logits, strict=True):
        assert not kept.any() or not left.any() or score[kept].min() >= score[left].max()


def test_kans_that_become_constant_are_told(zoo: Zoo, run: Run) -> None:
    kans = zoo.population(slice(0, 3))
    with pytest.warns(
        UserWarning,
        match=r"3 of 3 KANs have outputs that are constant now, 1\.0 of 1 on average: KANs \[0, 1, 2\]; keep",
    ):
        run.prune(kans, share=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(
            torch.equal(a.mask, b.mask) for a, b in zip(run.prune(kans, share=1.0).layers, kans.layers, strict=True)
        )


def test_outputs_that_no_path_leads_to_are_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer may keep edges of neurons that no input reaches: outputs that are constant are counted."""
    kans = random_population((3, 5, 5, 4), 4, 0)
    x = torch.rand(50, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
    score = torch.rand(4, kans.spec.num_edges, generator=torch.Generator().manual_seed(1))
    monkeypatch.setattr(Run, "predict", lambda self, population, precision: score)
    with pytest.warns(UserWarning, match="constant now") as told:
        pruned = run.prune(kans, share=0.3)
    assert all((layer.mask != 0).flatten(1).any(1).all() for layer in pruned.layers)  # every layer has edges left
    constant = pruned(x).std(1) == 0
    bad = constant.any(1).nonzero().squeeze(1).tolist()
    mean = int(constant.sum()) / len(bad)
    assert f"{len(bad)} of 4 KANs have outputs that are constant now, {mean:.1f} of" in str(told[0].message)
    assert f"KANs {bad};" in str(told[0].message)


@pytest.mark.filterwarnings("ignore:.*constant now")
def test_any_precision_is_taken(zoo: Zoo, run: Run) -> None:
    kans = zoo.population(slice(0, 3))
    expected = run.predict(kans)
    torch.testing.assert_close(run.predict(kans.to(torch.float64)), expected)
    torch.testing.assert_close(run.predict(kans.to(torch.float16)), expected, rtol=0.05, atol=0.05)
    assert run.prune(kans.to(torch.float16)).layers[0].coef.dtype == torch.float16


def test_accuracies_are_predicted_in_their_own_unit(zoo: Zoo, tmp_path: Path) -> None:
    run = run_for(zoo, "accuracy-prediction", tmp_path / "run")
    rows = zoo.split("test")
    predicted = run.predict(zoo.population(rows))
    assert predicted.shape == (len(rows), 1)
    error = (predicted.squeeze(1) - zoo.columns["accuracy"][rows]).square().mean()
    assert float(error) == pytest.approx(run.record["test"]["mse"], rel=1e-4)
    assert torch.equal(open_run(run.folder).predict(zoo.population(rows)), predicted)


def test_other_runs_and_broken_kans_are_refused(zoo: Zoo, run: Run, tmp_path: Path) -> None:
    with pytest.raises(
        DataError,
        match="accuracy-prediction, not for pruning: `wskan train --task pruning-mask` or `--task pruning-scores`",
    ):
        run_for(zoo, "accuracy-prediction", tmp_path / "run").prune(zoo.population(slice(None)))
    broken = zoo.population(zoo.split("test"))
    broken.layers[0].coef[1] = float("nan")
    with pytest.raises(DataError, match=r"\[1\]"):
        run.prune(broken)
    broken.layers[0].coef[1] = 1e30
    with pytest.raises(DataError, match=r"not finite for KANs \[1\]"):
        run.predict(broken)
    with pytest.raises(DataError, match=r"expected a model of pykan .* got .*Linear"):
        run.prune(torch.nn.Linear(2, 2))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="is not a folder"):
        open_run(tmp_path / "mistyped")
    raw = dataclasses.replace(run, features=FeatureConfig(form="raw"))
    with pytest.raises(DataError, match="mean different things"):
        raw.prune(random_population(zoo.spec.widths, 2, 0, grid=zoo.spec.grid + 1))
    aligned = dataclasses.replace(run, record={**run.record, "aligned": True})
    with pytest.raises(DataError, match="trained on aligned KANs"):
        aligned.prune(zoo.population(slice(0, 2)))
    for share in (-0.1, 1.5, float("nan")):
        with pytest.raises(DataError, match="share must be in"):
            run.prune(zoo.population(slice(0, 2)), share=share)
    with pytest.raises(ShapeError, match="no KANs"):
        run.prune(zoo.population(slice(0, 0)))
    with pytest.raises(
        ShapeError, match=r"a model for KANs of depth 3 has no positions.*train a model on KANs of depth 2"
    ):
        run.prune(random_population((zoo.spec.widths[0], 4, zoo.spec.widths[-1]), 2, 0, grid=zoo.spec.grid))
