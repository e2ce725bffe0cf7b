import dataclasses
import gc
import json
import weakref
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from wskan.errors import DataError, DivergedError, ShapeError
from wskan.graph import FeatureConfig, kan_graph
from wskan.kan import FitConfig
from wskan.models import FlatMLPConfig, WSKANConfig
from wskan.tasks import (
    FrequencyRegression,
    GraphDataset,
    INRClassification,
    Task,
    TrainConfig,
    evaluate,
    get_task,
    graph_loader,
    learning_curve,
    open_run,
    predict,
    train,
)
from wskan.tasks.config import Symmetry
from wskan.tasks.module import TrainingModule
from wskan.testing import FakeZoo
from wskan.zoo import Zoo

QUICK = TrainConfig(epochs=3, batch_size=16, warmup_steps=5, patience=0)


@pytest.fixture(scope="module")
def zoo() -> Zoo:
    return FakeZoo()


def small(zoo: Zoo, task: Task, **config) -> WSKANConfig:  # type: ignore[no-untyped-def]
    return WSKANConfig(
        **{
            "widths": zoo.spec.widths,
            "edge_dim": FeatureConfig().edge_dim(zoo.spec),
            "out_dim": task.out_dim,
            "hidden": 16,
            "num_layers": 1,
            "dropout": 0.0,
            **config,
        }
    )


@pytest.mark.parametrize("task", [INRClassification(), FrequencyRegression()])
def test_learns_and_scores(task: Task, tmp_path: Path) -> None:
    zoo, config = FakeZoo(train=300), dataclasses.replace(QUICK, epochs=20, lr=5e-3)
    run = train(
        zoo, tmp_path / "run", task=task, model=small(zoo, task), config=config, features=FeatureConfig(), device="cpu"
    )
    assert not run.model.training
    if task.mode == "max":
        assert run.record["test"]["accuracy"] > 50  # of 10 classes
    else:
        assert run.record["test"]["r2"] > 0.8
    assert evaluate(run.model, zoo, task) == pytest.approx(run.record["test"])
    loaded = open_run(tmp_path / "run")
    assert evaluate(loaded.model, zoo, loaded.task, loaded.features) == pytest.approx(run.record["test"])
    curve = learning_curve(tmp_path / "run")
    assert [row["epoch"] for row in curve] == list(range(20))
    assert {"train_loss", f"val_{task.monitor}", "seconds"} <= set(curve[-1])


def test_an_interrupted_run_goes_on_and_ends_as_if_nothing_had_happened(
    zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, step, count = INRClassification(), TrainingModule.training_step, 0
    # The best epoch is an early one: going back to it would repeat epochs.
    model, config = small(zoo, task, dropout=0.3), dataclasses.replace(QUICK, epochs=5, lr=1e-7)
    whole = train(
        zoo, tmp_path / "whole", task=task, model=model, config=config, features=FeatureConfig(), device="cpu"
    )

    def counted(self, batch, index):  # type: ignore[no-untyped-def]
        nonlocal count
        count += 1
        if count == 11:  # in the fourth epoch of three steps each
            raise RuntimeError("killed")
        return step(self, batch, index)

    monkeypatch.setattr(TrainingModule, "training_step", counted)
    with pytest.raises(RuntimeError, match="killed"):
        train(zoo, tmp_path / "cut", task=task, model=model, config=config, features=FeatureConfig(), device="cpu")
    with pytest.raises(DataError, match="no finished"):
        open_run(tmp_path / "cut")
    moved = (tmp_path / "cut").rename(tmp_path / "moved")
    resumed = train(zoo, moved, task=task, model=model, config=config, features=FeatureConfig(), device="cpu")
    assert count == 11 + 6
    for key in ("val", "test", "epochs"):
        assert resumed.record[key] == whole.record[key]
    last = [
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for folder in (moved, tmp_path / "whole")
    ]
    assert all(torch.equal(last[0][name], last[1][name]) for name in last[1])
    curves = [
        [{name: v for name, v in row.items() if name != "seconds"} for row in learning_curve(f)]
        for f in (moved, tmp_path / "whole")
    ]
    assert curves[0] == curves[1]


def test_damaged_checkpoints_and_interrupts_are_told(zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = INRClassification()

    def interrupted(self, batch, index):  # type: ignore[no-untyped-def]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainingModule, "training_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(
                zoo,
                tmp_path / "run",
                task=task,
                model=small(zoo, task),
                config=QUICK,
                features=FeatureConfig(),
                device="cpu",
            )
    (tmp_path / "run" / "checkpoints").mkdir(exist_ok=True)
    (tmp_path / "run" / "checkpoints" / "last.ckpt").write_bytes(b"PK\x03\x04 half a file")
    with pytest.raises(DataError, match=r"last\.ckpt: cannot be read"):
        train(
            zoo,
            tmp_path / "run",
            task=task,
            model=small(zoo, task),
            config=QUICK,
            features=FeatureConfig(),
            device="cpu",
        )


def test_what_cannot_be_trained_is_refused_at_once(zoo: Zoo, tmp_path: Path) -> None:
    task = INRClassification()
    with pytest.raises(DataError, match="no test KANs"):
        train(
            FakeZoo(test=0), tmp_path / "run", task=task, model=small(zoo, task), config=QUICK, features=FeatureConfig()
        )
    with pytest.raises(DataError, match="at least 1"):
        train(
            zoo,
            tmp_path / "run",
            task=task,
            model=small(zoo, task),
            config=QUICK,
            features=FeatureConfig(),
            train_limit=0,
            device="cpu",
        )
    for wrong in ({"out_dim": 20}, {"readout": "edge"}):
        with pytest.raises(DataError, match="inr-classification needs 10 for each graph"):
            train(
                zoo,
                tmp_path / "run",
                task=task,
                model=small(zoo, task, **wrong),
                config=QUICK,
                features=FeatureConfig(),
                device="cpu",
            )
    for wrong in ({"edge_dim": 3}, {"widths": (3, 4, 1)}):
        with pytest.raises(ShapeError):
            train(
                zoo,
                tmp_path / "run",
                task=task,
                model=small(zoo, task, **wrong),
                config=QUICK,
                features=FeatureConfig(),
                device="cpu",
            )
    assert not (tmp_path / "run").exists(), "the right call may take the folder"
    if not torch.cuda.is_available():
        with pytest.raises(DataError, match="CUDA"):
            train(
                zoo,
                tmp_path / "run",
                task=task,
                model=small(zoo, task),
                config=QUICK,
                features=FeatureConfig(),
                device="cuda",
            )
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="file"):
        train(
            zoo,
            tmp_path / "file" / "run",
            task=task,
            model=small(zoo, task),
            config=QUICK,
            features=FeatureConfig(),
            device="cpu",
        )


def test_training_that_diverges_is_told(zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = INRClassification()
    monkeypatch.setattr(INRClassification, "loss", lambda self, output, target: output.sum() * float("nan"))
    for _ in range(2):
        with pytest.raises(DivergedError, match="lower the learning rate"):
            train(
                zoo,
                tmp_path / "run",
                task=task,
                model=small(zoo, task),
                config=QUICK,
                features=FeatureConfig(),
                device="cpu",
            )
    with pytest.raises(DataError, match="no finished training run"):
        open_run(tmp_path / "run")


def test_same_seed_same_result(zoo: Zoo, tmp_path: Path) -> None:
    task = INRClassification()
    runs = [
        train(
            zoo,
            tmp_path / name,
            task=task,
            model=small(zoo, task, dropout=0.2),
            config=QUICK,
            features=FeatureConfig(),
            device="cpu",
        )
        for name in "ab"
    ]
    assert runs[0].record["val"] == runs[1].record["val"]
    other = train(
        zoo,
        tmp_path / "c",
        task=task,
        model=small(zoo, task),
        config=dataclasses.replace(QUICK, seed=1),
        features=FeatureConfig(),
        device="cpu",
    )
    assert other.record["val"] != runs[0].record["val"]


def test_graphs_do_not_outlive_their_run(zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: weakref.WeakSet[torch.Tensor] = weakref.WeakSet()

    class Watched(GraphDataset):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            assert self.graphs is not None
            held.add(self.graphs.edges[0])

    monkeypatch.setattr("wskan.tasks.training.GraphDataset", Watched)
    gc.disable()
    try:
        train(
            zoo,
            tmp_path / "run",
            task=INRClassification(),
            model=small(zoo, INRClassification()),
            config=QUICK,
            features=FeatureConfig(),
            device="cpu",
        )
        assert len(held) == 0
    finally:
        gc.enable()


def test_a_finished_run_is_returned_and_another_refused(
    zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = INRClassification()
    first = train(
        zoo, tmp_path / "run", task=task, model=small(zoo, task), config=QUICK, features=FeatureConfig(), device="cpu"
    )
    monkeypatch.setattr(L, "Trainer", None)
    assert (
        train(
            zoo,
            tmp_path / "run",
            task=task,
            model=small(zoo, task),
            config=QUICK,
            features=FeatureConfig(),
            device="cpu",
        ).record
        == first.record
    )
    with pytest.raises(DataError, match="another train"):
        train(
            zoo,
            tmp_path / "run",
            task=task,
            model=small(zoo, task),
            config=dataclasses.replace(QUICK, lr=0.5),
            features=FeatureConfig(),
            device="cpu",
        )
    (tmp_path / "letter").mkdir()
    (tmp_path / "letter" / "a.txt").write_text("dear")
    with pytest.raises(DataError, match="not empty"):
        train(
            zoo,
            tmp_path / "letter",
            task=task,
            model=small(zoo, task),
            config=QUICK,
            features=FeatureConfig(),
            device="cpu",
        )


def test_broken_runs_are_refused(zoo: Zoo, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no finished"):
        open_run(tmp_path)
    path = tmp_path / "run.json"
    for text in (
        "{",
        "[]",
        json.dumps({"finished": True, "asked": 3}),
        json.dumps({"finished": True, "asked": {"task": "os.system"}}),
    ):
        path.write_text(text)
        with pytest.raises(DataError):
            open_run(tmp_path)


def test_early_stopping_bf16_tensorboard_and_knots(zoo: Zoo, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    task, config = INRClassification(), TrainConfig(epochs=50, batch_size=16, patience=1, precision="bf16", lr=1e-5)
    run = train(
        zoo,
        tmp_path / "run",
        task=task,
        model=small(zoo, task, node_dim=5),
        config=config,
        features=FeatureConfig(knots=True),
        tensorboard=True,
        train_limit=32,
        device="cpu",
    )
    assert run.record["epochs"] < 50
    assert run.record["counts"]["train"] == 32
    assert list((tmp_path / "run" / "tensorboard").iterdir())


def test_baseline_trains_too(zoo: Zoo, tmp_path: Path) -> None:
    config = FlatMLPConfig(widths=zoo.spec.widths, edge_dim=FeatureConfig().edge_dim(zoo.spec), out_dim=10, hidden=16)
    assert (
        train(
            zoo,
            tmp_path / "run",
            task=INRClassification(),
            model=config,
            config=QUICK,
            features=FeatureConfig(),
            device="cpu",
        ).record["parameters"]
        > 1000
    )


def test_statistics_come_from_the_training_split_only(zoo: Zoo, tmp_path: Path) -> None:
    task = INRClassification()
    data = GraphDataset(zoo, "train", task, FeatureConfig())
    run = train(
        zoo, tmp_path / "run", task=task, model=small(zoo, task), config=QUICK, features=FeatureConfig(), device="cpu"
    )
    kans = zoo.population(zoo.split("train"))
    first = torch.cat([edges[..., 0].flatten() for edges in kan_graph(kans).edges])
    torch.testing.assert_close(run.model.standardize.edge_mean[0], first.mean(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(data.statistics(7).edge_std, run.model.standardize.edge_std)


@pytest.mark.parametrize("features", [FeatureConfig(form="raw", knots=True), FeatureConfig()], ids=["raw", "function"])
def test_a_zoo_larger_than_memory_gives_the_same_batches(zoo: Zoo, features: FeatureConfig) -> None:
    """Graphs made once, KANs in memory, KANs on disk."""
    parameters = 4 * zoo.spec.num_parameters * len(zoo.split("val"))
    made, kept, lazy = (
        GraphDataset(zoo, "val", INRClassification(), features, memory_limit=limit) for limit in (2**30, parameters, 0)
    )
    assert [data.graphs is not None for data in (made, kept, lazy)] == [True, False, False]
    assert [data.population is not None for data in (made, kept, lazy)] == [False, True, False]
    for places in ([3, 0, 7], [1]):
        graph, y = made[places]
        for other, z in (kept[places], lazy[places]):
            assert torch.equal(y, z)
            for one, two in zip((*graph.edges, *graph.nodes), (*other.edges, *other.nodes), strict=True):
                torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-6)


def test_predictions_do_not_depend_on_what_is_in_memory(zoo: Zoo) -> None:
    task = INRClassification()
    model = train_free_model(zoo, task)
    sets = [GraphDataset(zoo, "val", task, FeatureConfig(), memory_limit=limit) for limit in (2**30, 0)]
    torch.testing.assert_close(*(predict(model, graph_loader(data, 6))[0] for data in sets), rtol=1e-5, atol=1e-6)


def train_free_model(zoo: Zoo, task: Task):  # type: ignore[no-untyped-def]
    from wskan.models import WSKAN

    return WSKAN(small(zoo, task))


def test_shuffled_batches_have_one_shape_and_an_order_of_each_epoch(zoo: Zoo) -> None:
    data = GraphDataset(zoo, "train", INRClassification(), FeatureConfig())
    loader = graph_loader(data, 16, shuffle_seed=0)
    assert [len(y) for _, y in loader] == [16] * 3
    assert [len(y) for _, y in graph_loader(data, 16)] == [16] * 3 + [12]
    assert [len(y) for _, y in graph_loader(data, 100, shuffle_seed=0)] == [60]
    orders = []
    for epoch in (0, 1, 0):
        loader.sampler.set_epoch(epoch)
        orders.append([index for draw in loader.sampler for index in draw.indices])
    assert orders[0] == orders[2] != orders[1]
    loader.sampler.set_epoch(0)
    again = [[index for draw in loader.sampler for index in draw.indices] for _ in range(2)]
    assert again == orders[:2], "a loop of one's own sees another order each time, too"
    assert sorted(torch.cat([y for _, y in graph_loader(data, 16)]).tolist()) == sorted(data.targets.tolist())


def test_tasks(zoo: Zoo) -> None:
    assert get_task("auto", zoo).name == "inr-classification"
    with pytest.raises(DataError, match="frequency-regression"):
        get_task("nope")
    bare = FakeZoo()
    for name in ("label", "freq_0"):
        del bare.columns[name]
    with pytest.raises(DataError, match="no task"):
        get_task("auto", bare)
    with pytest.raises(DataError, match="freq_0"):
        FrequencyRegression().check(bare)
    bare.columns["label"] = zoo.columns["label"] + 5
    with pytest.raises(DataError, match="from 0 to 9"):
        INRClassification().targets(bare)
    waves = FrequencyRegression()
    targets = waves.targets(zoo)
    output = (targets - waves.center) / waves.spread
    assert float(waves.loss(output, targets)) == 0
    torch.testing.assert_close(waves.decode(output), targets)


@pytest.mark.parametrize(
    "bad",
    [{"epochs": 0}, {"lr": 0.0}, {"precision": "16"}, {"compile": 1}, {"seed": -1}, {"nope": 1}, {"batch_size": 2.5}],
)
def test_bad_training_configurations_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(DataError):
        TrainConfig.from_dict(bad)


@pytest.mark.parametrize(("features", "augment"), [(FeatureConfig(form="gauge"), ()), (FeatureConfig(), ("sign",))])
def test_what_such_kans_cannot_have_is_refused_before_the_folder_is_taken(
    features: FeatureConfig, augment: tuple[Symmetry, ...], tmp_path: Path
) -> None:
    zoo, task = FakeZoo(), INRClassification()
    spec, fit = dataclasses.replace(zoo.spec, basis="rbf", degree=0), FitConfig(adapt_grid=False)
    recipe = dataclasses.replace(zoo.recipe, spec=spec, fit=fit)
    zoo.manifest = dataclasses.replace(zoo.manifest, recipe=recipe)
    with pytest.raises(DataError, match=r"no gauge|cannot be negated"):
        train(
            zoo,
            tmp_path / "run",
            task=task,
            model=small(zoo, task),
            config=dataclasses.replace(QUICK, augment=augment),
            features=features,
        )
    assert not (tmp_path / "run").exists()
