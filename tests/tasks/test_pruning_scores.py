"""The task of the oracle's scores; what it shares with that of masks is tested there."""

import dataclasses
import itertools
import math
from pathlib import Path

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from wskan.errors import DataError
from wskan.graph import FeatureConfig, kan_graph
from wskan.kan import Permutation, Population
from wskan.kan.edges import flatten_edges
from wskan.models import MODELS, WSKANConfig
from wskan.tasks import (
    GraphDataset,
    PruningMask,
    PruningScores,
    TrainConfig,
    evaluate,
    get_task,
    open_run,
    predict_split,
    train,
)
from wskan.tasks.binary_metrics import roc_auc
from wskan.tasks.data import BatchIndices
from wskan.tasks.evaluation import score
from wskan.tasks.task import ABSENT
from wskan.testing import FakeZoo, random_population
from wskan.zoo import Zoo

WIDTHS = (2, 5, 4, 3)
TASK = PruningScores()
GONE = PruningScores.absent


def pruned() -> FakeZoo:
    """A fake zoo of classifiers that lack some edges."""
    zoo = FakeZoo(WIDTHS, classifiers=True)
    masks = random_population(WIDTHS, len(zoo), 7, keep=0.8).layers
    layers = [dataclasses.replace(layer, mask=m.mask) for layer, m in zip(zoo._kans.layers, masks, strict=True)]
    zoo._kans = Population(zoo.spec, layers)
    return zoo


def dataset(zoo: Zoo, **options: object) -> GraphDataset:
    return GraphDataset(zoo, "train", TASK, FeatureConfig(), **options)  # type: ignore[arg-type]


def drawn(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs and targets of 4 KANs of 9 edges, some of which are absent."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randn(4, 9, generator=generator) * 2.5 - 5
    target[torch.rand(4, 9, generator=generator) < 0.3] = GONE
    target[0, 0], target[0, 1:3] = GONE, torch.tensor([ABSENT, -3.0])  # a score may be what marks edges of masks
    return torch.randn(4, 9, generator=generator), target


def test_targets_are_the_scores_edge_by_edge_and_absent_edges_are_marked() -> None:
    zoo = pruned()
    graph, target = dataset(zoo)[[3, 0, 8]]
    rows = zoo.split("train")[[3, 0, 8]]
    assert target.dtype == torch.float32
    edge = 0
    for index, (n, m) in enumerate(itertools.pairwise(WIDTHS)):
        for p, q in itertools.product(range(n), range(m)):
            exists = zoo.population(rows).layers[index].mask[:, p, q] != 0
            assert torch.equal(target[:, edge], torch.where(exists, zoo.scores(rows)[index][:, p, q], GONE))
            edge += 1
    assert edge == target.shape[1]
    assert 0 < int((target == GONE).sum()) < target.numel() / 2
    assert [mask is not None for mask in graph.edge_mask] == [True] * 3


@given(seed=st.integers(0, 2**62), places=st.lists(st.integers(0, 59), min_size=1, max_size=6), lazy=st.booleans())
def test_targets_follow_an_augmented_draw(seed: int, places: list[int], lazy: bool) -> None:
    zoo = pruned()
    graph, target = dataset(zoo, augment=("permutation",), memory_limit=0 if lazy else 2**30)[
        BatchIndices(places, seed)
    ]
    rows = zoo.split("train")[places]
    permutation = Permutation.random(WIDTHS, len(rows), torch.Generator().manual_seed(seed))
    kans = zoo.population(rows).permute(permutation)
    assert all(torch.equal(a, b) for a, b in zip(graph.edges, kan_graph(kans).edges, strict=True))
    exist = flatten_edges([layer.mask != 0 for layer in kans.layers])
    moved = flatten_edges(permutation.edges(zoo.scores(rows)))
    assert torch.equal(target, torch.where(exist, moved, GONE))


@given(st.integers(0, 999))
def test_loss_and_metrics_count_edges_that_exist(seed: int) -> None:
    output, target = drawn(seed)
    exist = target != GONE
    error = (output - (target + 7) / 2.5)[exist].square().mean()
    torch.testing.assert_close(TASK.loss(output, target), error)
    found = score(TASK, output, target)
    decoded, true = TASK.decode(output)[exist], target[exist]
    keep = true > math.log(0.01)
    assert found["auc"] == pytest.approx(100 * roc_auc(decoded, keep))
    assert found["accuracy"] == pytest.approx(100 * float(((decoded > math.log(0.01)) == keep).float().mean()))
    r2 = 1 - float((decoded - true).square().sum() / (true - true.mean()).square().sum())
    assert found["r2"] == pytest.approx(r2, rel=1e-3, abs=1e-4)
    assert score(TASK, torch.where(exist, output, 50.0), target) == found
    perfect = score(TASK, (target + 7) / 2.5, target)
    assert (perfect["auc"], perfect["accuracy"]) == (100 if keep.any() and not keep.all() else 50, 100)
    assert (perfect["r2"], perfect["loss"]) == pytest.approx((1, 0), abs=1e-5)


@given(st.integers(0, 999), st.floats(1e-4, 0.5))
def test_calibration_agrees_best_with_the_oracle(seed: int, oracle: float) -> None:
    output, target = drawn(seed)
    task = PruningScores(oracle=oracle)
    chosen = task.calibrated(output := task.decode(output), target)
    assert chosen.oracle == oracle
    exist = target != GONE
    keep = target[exist] > math.log(oracle)

    def right(threshold: float) -> int:
        return int(((output[exist] > threshold) == keep).sum())

    assert right(chosen.threshold) == max(map(right, [*output[exist].tolist(), -1e9, 1e9]))
    assert torch.equal(chosen.keep(output), output > chosen.threshold)
    metrics = chosen.metrics()
    metrics.update(output, target)
    assert float(metrics.compute()["accuracy"]) == pytest.approx(100 * right(chosen.threshold) / len(keep))


@pytest.mark.parametrize("value", [-13.0, -1.0, GONE])
def test_equal_targets_give_numbers(value: float) -> None:
    target, output = torch.full((3, 7), value), torch.randn(3, 7, requires_grad=True)
    TASK.loss(output, target).backward()  # type: ignore[no-untyped-call]
    assert bool(output.grad.isfinite().all())  # type: ignore[union-attr]
    assert bool(output.grad.any()) == (value != GONE)  # type: ignore[union-attr]
    assert all(math.isfinite(number) for number in score(TASK, output.detach(), target).values())
    chosen = TASK.calibrated(output.detach(), target)
    if value == GONE:
        assert chosen == TASK
    else:
        assert bool((chosen.keep(output) == (value > math.log(0.01))).all())


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("probe_gen", "image_cnn")])  # graph readout
@pytest.mark.filterwarnings("ignore:.*constant now")
def test_every_model_trains_and_prunes_by_scores(name: str, tmp_path: Path) -> None:
    zoo = pruned()
    shape = {"widths": zoo.spec.widths, "edge_dim": FeatureConfig().edge_dim(zoo.spec), "hidden": 16, "num_layers": 2}
    config = MODELS[name][1](model=name, **shape, out_dim=1, readout="edge", dropout=0.0)  # type: ignore[arg-type]
    quick = TrainConfig(epochs=2, batch_size=16, warmup_steps=2, patience=0, augment=("permutation",))
    run = train(zoo, tmp_path / "run", task=TASK, model=config, config=quick, features=FeatureConfig(), device="cpu")
    assert isinstance(run.task, PruningScores)
    again = open_run(tmp_path / "run")
    assert again.task == run.task != TASK
    assert evaluate(again.model, zoo, again.task, again.features) == pytest.approx(run.record["test"])
    kans = zoo.population(rows := zoo.split("test"))
    scores = run.predict(kans)
    output, _ = predict_split(run.model, GraphDataset(zoo, "test", run.task, run.features))
    torch.testing.assert_close(scores, 2.5 * output - 7)
    exist = flatten_edges([layer.mask != 0 for layer in kans.layers])
    left = flatten_edges([layer.mask != 0 for layer in run.prune(kans).layers])
    assert torch.equal(left, exist & (scores > run.task.threshold))
    left = flatten_edges([layer.mask != 0 for layer in run.prune(kans, share=0.3).layers])
    for kan in range(len(rows)):
        count = round(0.3 * int(exist[kan].sum()))
        top = scores[kan].masked_fill(~exist[kan], -torch.inf).topk(count).indices
        assert left[kan].nonzero().squeeze(1).tolist() == sorted(top.tolist())


def test_ws_kan_learns_scores(tmp_path: Path) -> None:
    """Those of fake zoos follow from parameters."""
    zoo, raw = FakeZoo(train=300, classifiers=True), FeatureConfig(form="raw")
    model = WSKANConfig(
        widths=zoo.spec.widths, edge_dim=raw.edge_dim(zoo.spec), out_dim=1, readout="edge", hidden=16, num_layers=2,
        dropout=0.0,
    )  # fmt: skip
    config = TrainConfig(epochs=12, batch_size=16, warmup_steps=2, patience=0, lr=1e-2)
    run = train(zoo, tmp_path / "run", task=TASK, model=model, config=config, features=raw, device="cpu")
    assert run.record["test"]["auc"] > 97
    assert run.record["test"]["accuracy"] > 95  # of which 88 by pruning everything
    assert run.record["test"]["r2"] > 0.8
    assert set(run.record["calibration"]) == {"threshold", "oracle"}


def test_zoos_without_scores_and_bad_fields_are_refused() -> None:
    with pytest.raises(DataError, match=r"no scores of edges.*--scores"):
        TASK.check(FakeZoo())
    assert not TASK.fits(FakeZoo())
    zoo = FakeZoo(classifiers=True)
    assert TASK.fits(zoo)
    del zoo.columns["accuracy"]
    assert get_task("auto", zoo) == PruningMask(), "masks come first"
    assert get_task("pruning-scores") == TASK
    for bad in (float("nan"), float("inf"), "0", None):
        with pytest.raises(DataError, match="threshold"):
            PruningScores(bad)  # type: ignore[arg-type]
        with pytest.raises(DataError, match="oracle"):
            PruningScores(oracle=bad)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"oracle must be a number from 1e-38 .* got 0"):
        PruningScores(oracle=0)
