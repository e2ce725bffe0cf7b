"""Runs on zoos of classifiers: every model on both tasks, from training to a run that is opened again."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from wskan.errors import DataError
from wskan.graph import EVALUABLE, FeatureConfig
from wskan.models import MODELS, ModelConfig, OutputsConfig, ProbeGenConfig, build_model
from wskan.tasks import (
    AccuracyPrediction,
    GraphDataset,
    PruningMask,
    Run,
    Task,
    TrainConfig,
    evaluate,
    graph_loader,
    learning_curve,
    open_run,
    predict_split,
    train,
)
from wskan.tasks.module import TrainingModule
from wskan.testing import FakeZoo
from wskan.zoo import SPLITS, Zoo, get_recipe

QUICK = TrainConfig(epochs=2, batch_size=16, warmup_steps=2, patience=0, augment=("permutation",))


@pytest.fixture(scope="module")
def zoo() -> Zoo:
    return FakeZoo(classifiers=True)


def small(zoo: Zoo, task: Task, name: str = "ws_kan", **config: object) -> ModelConfig:
    shape = {"widths": zoo.spec.widths, "edge_dim": FeatureConfig().edge_dim(zoo.spec), "hidden": 16, "num_layers": 2}
    options = {"out_dim": task.out_dim, "readout": task.readout, "dropout": 0.0}
    return MODELS[name][1](model=name, **{**shape, **options, **config})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", [name for name, (_, config) in MODELS.items() if not issubclass(config, OutputsConfig)]
)
@pytest.mark.parametrize("task", [AccuracyPrediction(), PruningMask()], ids=["accuracy", "mask"])
def test_every_model_trains_on_both_tasks(zoo: Zoo, task: Task, name: str, tmp_path: Path) -> None:
    run = train(
        zoo,
        tmp_path / "run",
        task=task,
        model=small(zoo, task, name),
        config=QUICK,
        features=FeatureConfig(),
        device="cpu",
    )
    again = open_run(tmp_path / "run")
    assert again.task == run.task
    assert evaluate(again.model, zoo, again.task, again.features) == pytest.approx(run.record["test"])
    curve = learning_curve(tmp_path / "run")
    assert {f"val_{metric}" for metric in run.record["val"]} <= set(curve[-1])
    assert {"train_kendall", "train_auc"} & set(curve[-1]) == set()


def test_a_model_that_sees_outputs_only_trains(zoo: Zoo, tmp_path: Path) -> None:
    task, shape = (
        AccuracyPrediction(),
        {"edge_dim": 9, "node_dim": 5, "probes": 6, **ProbeGenConfig.fields_of(zoo.spec)},
    )
    config = small(zoo, task, "probe_gen", **shape)
    run = train(zoo, tmp_path / "run", task=task, model=config, config=QUICK, features=EVALUABLE, device="cpu")
    again = open_run(tmp_path / "run")
    assert again.model.config == config
    assert evaluate(again.model, zoo, again.task, again.features) == pytest.approx(run.record["test"])
    assert again.predict(zoo.population(slice(3))).shape == (3, 1)
    other = dataclasses.replace(config, base="zero")
    with pytest.raises(DataError, match="KANs of another base than"):
        train(zoo, tmp_path / "other", task=task, model=other, config=QUICK, features=EVALUABLE, device="cpu")


def test_a_model_for_another_task_is_refused(zoo: Zoo) -> None:
    model = MODELS["ws_kan"][0](small(zoo, PruningMask()))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"1 numbers for each edge, task accuracy-prediction needs 1 for each graph"):
        evaluate(model, zoo, AccuracyPrediction())


def test_kans_that_a_run_knows_are_no_test(tmp_path: Path) -> None:
    recipe = dataclasses.replace(get_recipe("digits-classifier"), train=6, val=2, test=2)
    zoo = FakeZoo(classifiers=True, train=6, val=2, test=2)
    run = Run(
        folder=tmp_path, model=build_model(small(zoo, PruningMask())), task=PruningMask(), features=FeatureConfig(),
        record={"asked": {}, "recipe": recipe.to_dict()},
    )  # fmt: skip

    def other(**changes: Any) -> Any:
        changed = dataclasses.replace(recipe, **changes)
        rows = {name: torch.arange(len(changed))[changed.splits() == i] for i, name in enumerate(SPLITS)}
        columns = {"index": torch.arange(len(changed))}
        return SimpleNamespace(recipe=changed, digest=changed.digest, folder="other", columns=columns, split=rows.get)

    for allowed in (other(), other(test=9), other(train=0, val=0, seed=1), other(train=7, val=1, test=1)):
        run.check_unseen(allowed, "test")
    aligned = other()
    aligned.digest = run.record["asked"]["zoo"] = "aligned"
    run.check_unseen(aligned, "val")
    with pytest.raises(DataError, match=r"2 of the 2 test KANs of other.*another --seed"):
        run.check_unseen(other(train=0, val=0), "test")
    with pytest.raises(DataError, match="1 of the 3 val KANs"):
        run.check_unseen(other(train=7, val=3), "val")


def test_ws_kan_learns_masks_and_accuracies(tmp_path: Path) -> None:
    """Those of fake zoos follow from parameters."""
    zoo, config = FakeZoo(train=300, classifiers=True), dataclasses.replace(QUICK, epochs=12, lr=1e-2)
    raw = FeatureConfig(form="raw")
    dim = raw.edge_dim(zoo.spec)
    model = small(zoo, PruningMask(), edge_dim=dim)
    masks = train(zoo, tmp_path / "masks", task=PruningMask(), model=model, config=config, features=raw, device="cpu")
    assert masks.record["test"]["auc"] > 97
    assert masks.record["test"]["accuracy"] > 95  # of which 88 by pruning everything
    task = AccuracyPrediction()
    model = small(zoo, task, edge_dim=dim)
    accuracies = train(zoo, tmp_path / "accuracies", task=task, model=model, config=config, features=raw, device="cpu")
    assert accuracies.record["test"]["r2"] > 0.8
    assert accuracies.record["test"]["kendall"] > 0.7


def test_the_threshold_is_chosen_on_the_validation_split_of_the_best_epoch(zoo: Zoo, tmp_path: Path) -> None:
    run = train(
        zoo,
        tmp_path / "run",
        task=PruningMask(),
        model=small(zoo, PruningMask()),
        config=QUICK,
        features=FeatureConfig(),
        device="cpu",
    )
    data = {name: GraphDataset(zoo, name, PruningMask(), run.features) for name in ("train", "val", "test")}
    chosen = {name: PruningMask().calibrated(*predict_split(run.model, split)) for name, split in data.items()}
    assert run.task == chosen["val"]
    assert run.task not in (chosen["train"], chosen["test"], PruningMask())
    assert run.record["calibration"] == {"threshold": run.task.threshold}  # type: ignore[attr-defined]
    val = {
        threshold: evaluate(run.model, zoo, PruningMask(threshold), split="val")["accuracy"]
        for threshold in (-3, -2, -1, 0, 1)
    }
    assert run.record["val"]["accuracy"] >= max(val.values())
    assert run.record["test"]["accuracy"] == pytest.approx(evaluate(run.model, zoo, chosen["val"])["accuracy"])
    assert (
        train(
            zoo,
            tmp_path / "run",
            task=PruningMask(),
            model=small(zoo, PruningMask()),
            config=QUICK,
            features=FeatureConfig(),
            device="cpu",
        ).task
        == run.task
    )


def test_runs_of_earlier_versions_open_and_malformed_ones_do_not(zoo: Zoo, tmp_path: Path) -> None:
    task = AccuracyPrediction()
    train(
        zoo,
        tmp_path,
        task=task,
        model=small(zoo, task),
        config=dataclasses.replace(QUICK, epochs=1),
        features=FeatureConfig(),
        device="cpu",
    )
    path = tmp_path / "run.json"
    record = json.loads(path.read_text())
    assert record.pop("calibration") == {}
    path.write_text(json.dumps(record))
    assert open_run(tmp_path).task == task
    for bad in ({"threshold": 1}, [1], "x", 3, None):
        path.write_text(json.dumps({**record, "calibration": bad}))
        with pytest.raises(DataError, match="malformed calibration"):
            open_run(tmp_path)
    path.write_text(
        json.dumps({**record, "asked": {**record["asked"], "task": "pruning-mask"}, "calibration": {"threshold": "x"}})
    )
    with pytest.raises(DataError, match="malformed calibration"):
        open_run(tmp_path)
    for bad in ({"val": 1}, {"test": {}}, {"parameters": None}, {"train_seconds": "long"}):
        path.write_text(json.dumps(record | bad))
        with pytest.raises(DataError, match=r"run\.json: "):
            open_run(tmp_path)


def test_an_interrupted_run_ends_with_the_same_threshold(
    zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, step, count = PruningMask(), TrainingModule.training_step, 0
    whole = train(
        zoo, tmp_path / "whole", task=task, model=small(zoo, task), config=QUICK, features=FeatureConfig(), device="cpu"
    )

    def counted(self, batch, index):  # type: ignore[no-untyped-def]
        nonlocal count
        count += 1
        if count == 5:  # in the second epoch of three steps each
            raise RuntimeError("killed")
        return step(self, batch, index)

    monkeypatch.setattr(TrainingModule, "training_step", counted)
    with pytest.raises(RuntimeError, match="killed"):
        train(
            zoo,
            tmp_path / "cut",
            task=task,
            model=small(zoo, task),
            config=QUICK,
            features=FeatureConfig(),
            device="cpu",
        )
    resumed = train(
        zoo, tmp_path / "cut", task=task, model=small(zoo, task), config=QUICK, features=FeatureConfig(), device="cpu"
    )
    for key in ("val", "test", "calibration"):
        assert resumed.record[key] == whole.record[key]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_zoo_of_equal_targets_can_be_trained_on(value: float, tmp_path: Path) -> None:
    zoo, config = FakeZoo(val=1, classifiers=True), dataclasses.replace(QUICK, epochs=1)
    zoo.columns["accuracy"].fill_(value)
    for mask in zoo._masks:
        mask.fill_(bool(value))
    for task in (AccuracyPrediction(), PruningMask()):
        run = train(
            zoo,
            tmp_path / task.name,
            task=task,
            model=small(zoo, task),
            config=config,
            features=FeatureConfig(),
            device="cpu",
        )
        scores = torch.tensor([*run.record["val"].values(), *run.record["test"].values()])
        assert bool(scores.isfinite().all())


def test_half_precision_is_kept_until_a_batch_is_drawn() -> None:
    class EdgeLinear(FakeZoo):
        dtype = torch.float16  # type: ignore[assignment]

        def population(self, rows, *, stored=False):  # type: ignore[no-untyped-def]
            kans = super().population(rows).to(torch.float16)
            return kans if stored else kans.to(torch.float32)

    zoo, size = EdgeLinear(classifiers=True), 2 * 60 * FakeZoo().spec.num_parameters
    options = {"memory_limit": size, "augment": ("permutation",)}
    data = GraphDataset(zoo, "train", PruningMask(), FeatureConfig(), **options)  # type: ignore[arg-type]
    assert data.population is not None
    assert data.population.layers[0].coef.dtype == torch.float16
    lazy = GraphDataset(zoo, "train", PruningMask(), FeatureConfig(), **{**options, "memory_limit": size - 1})  # type: ignore[arg-type]
    assert lazy.population is None
    for (a, y), (b, z) in zip(
        graph_loader(data, 25, shuffle_seed=0), graph_loader(lazy, 25, shuffle_seed=0), strict=True
    ):
        assert torch.equal(y, z)
        for one, other in zip(a.edges, b.edges, strict=True):
            assert one.dtype == torch.float32
            assert torch.equal(one, other)
    assert data.statistics().edge_mean.dtype == torch.float32
