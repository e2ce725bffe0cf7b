import dataclasses
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wskan.errors import DataError, DivergedError
from wskan.experiments import (
    EXPERIMENTS,
    METHODS,
    SCALES,
    Plan,
    Request,
    Workspace,
    estimate,
    get_scale,
    reproduce,
)
from wskan.experiments.engine import cost
from wskan.experiments.engine.cost import duration
from wskan.experiments.engine.experiment import ExperimentResult
from wskan.experiments.engine.reproduce import protocol
from wskan.experiments.engine.run_scores import best_choice
from wskan.locks import hold
from wskan.tasks import INRClassification, Run, TrainConfig, train
from wskan.zoo import Zoo

SMOKE = dataclasses.replace(SCALES["smoke"], rates=(1e-3,), seeds=(0,))


def request_of(scale: Any = SMOKE, **changes: Any) -> Request:
    return Request(**{"scale": scale, "datasets": scale.datasets, "seeds": scale.seeds, **changes})


def show(name: str, request: Request, workspace: Workspace, folder: Path) -> ExperimentResult:
    found = reproduce(EXPERIMENTS[name], request, workspace, folder)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(folder=tmp_path_factory.mktemp("work"), device="cpu")


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_every_experiment_at_smoke_scale(
    name: str, workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ("ws_kan", "gauge_knots_symmetries") if not name.startswith("ideas") else ()
    experiment = EXPERIMENTS[name]
    request = experiment.request(SMOKE, methods=few if few and set(few) <= set(experiment.methods) else None)
    tables = show(name, request, workspace, tmp_path).tables
    assert all(table.cells for table in tables)
    data = json.loads((tmp_path / name / "smoke.json").read_text())
    assert {"command", "commit", "machine", "versions", "protocol", "tables", "runs"} <= set(data)
    for record in data["runs"].values():
        assert {"command", "commit", "machine", "test", "val", "parameters", "train_seconds"} <= set(record)
    text = (tmp_path / name / "smoke.md").read_text()
    assert all(table.title in text for table in tables)
    assert (tmp_path / name / "smoke.png").stat().st_size > 1000
    capsys.readouterr()
    if name != "table11":  # it takes times
        again = show(name, request, workspace, tmp_path).tables
        assert [table.cells for table in again if "seconds" not in table.unit] == [
            table.cells for table in tables if "seconds" not in table.unit
        ]
        assert "0 models to train" in capsys.readouterr().out


def test_runs_in_processes_and_gathering(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another data set later, two runs at a time, joins what is known; other settings replace it."""
    parallel = dataclasses.replace(workspace, jobs=2)
    request = request_of(seeds=(5,))
    assert reproduce(EXPERIMENTS["table6"], request, parallel, tmp_path, dry_run=True) is None
    assert "3 models to train" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    show("table6", request, parallel, tmp_path)
    path = tmp_path / "table6" / "smoke.json"
    data = json.loads(path.read_text())
    data["table"] = data.pop("tables")[0]  # as earlier versions wrote it
    data["table"]["cells"]["mnist"] = data["table"]["cells"].pop("digits")
    data["table"]["labels"]["columns"] = {"mnist": "mnist"}
    path.write_text(json.dumps(data))
    assert set(show("table6", request, workspace, tmp_path).tables[0].columns) == {"mnist", "digits"}
    other = dataclasses.replace(SMOKE, name="smoke", wide_test=17)
    assert set(show("table6", request_of(other, seeds=(5,)), workspace, tmp_path).tables[0].columns) == {"digits"}
    assert "replaced" in capsys.readouterr().out
    known = json.loads(path.read_text())
    for broken in ([], known | {"tables": [{}]}, known | {"tables": 1}, known | {"runs": 1}):
        path.write_text(json.dumps(broken))
        with pytest.raises(DataError, match="move it away"):
            show("table6", request_of(other, seeds=(6,)), workspace, tmp_path)
        assert json.loads(path.read_text()) == broken
    assert "seed 6: " not in capsys.readouterr().out, "nothing is trained before that is told"


def test_methods_one_at_a_time(workspace: Workspace, tmp_path: Path) -> None:
    for method in ("no_pe", "ws_kan"):
        table = show("table6", request_of(methods=(method,)), workspace, tmp_path).tables[0]
    assert {row for row, _ in table.cells} == {"no_pe", "ws_kan"}
    assert list(table.rows) == ["no_pe", "no_bidir", "ws_kan"]
    figure5, request = EXPERIMENTS["figure5"], request_of(methods=("ws_kan",))
    shutil.rmtree(workspace.folder / "measured", ignore_errors=True)
    assert figure5.seconds(workspace, request) > 0
    tables = show("figure5", request, workspace, tmp_path).tables
    assert figure5.seconds(workspace, request) == 0
    assert {row for row, _ in tables[0].cells} == {"original", "oracle", "chance", "ws_kan"}
    for name, method, message in (
        ("table6", "mlp", "choose from no_pe, no_bidir, ws_kan"),
        ("table11", "ws_kan", "does not compare"),
        ("figure5", "mlp", "name ws_kan"),
    ):
        with pytest.raises(DataError, match=message):
            show(name, request_of(methods=(method,)), workspace, tmp_path)


def test_an_ablation_shows_the_runs_that_another_table_has(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = show("table3", request_of(methods=("ws_kan", "deep_sets")), workspace, tmp_path).tables
    path = tmp_path / "table3" / "smoke.json"
    known, no_pe = path.read_text(), request_of(methods=("no_pe",))
    tables = show("table7", no_pe, workspace, tmp_path).tables
    for table, other in zip(tables, base, strict=True):
        assert {row for row, _ in table.cells} == {"no_pe", "ws_kan"}, "but no DeepSets"
        assert table.cells["ws_kan", "digits"] == other.cells["ws_kan", "digits"]
    data = json.loads((tmp_path / "table7" / "smoke.json").read_text())
    assert {record["asked"]["model"]["positional_encoding"] for record in data["runs"].values()} == {True, False}
    capsys.readouterr()
    longer = dataclasses.replace(SMOKE.classifiers.accuracy, hidden=(17,))
    other_scale = dataclasses.replace(SMOKE, classifiers=dataclasses.replace(SMOKE.classifiers, accuracy=longer))
    found = show("table7", request_of(other_scale, methods=("no_pe",)), workspace, tmp_path)
    assert {row for row, _ in found.tables[0].cells} == {"no_pe"}, "figures of other settings stay where they are"
    assert "table3" not in capsys.readouterr().out, "and are not replaced"
    assert path.read_text() == known
    path.write_text("{}")
    with pytest.raises(DataError, match="move it away"):
        show("table7", no_pe, workspace, tmp_path)


def test_the_rate_is_chosen_on_validation_alone() -> None:
    def run(val: float, test: float) -> Any:
        return SimpleNamespace(record={"val": {"accuracy": val}, "test": {"accuracy": test}})

    plans = [
        Plan(scale=SMOKE, dataset="digits", method="mlp", lr=rate, seed=seed) for rate in (0.1, 0.2) for seed in (0, 1)
    ]
    runs = dict(zip(plans, [run(50, 99), run(60, 99), run(90, 1), run(30, 2)], strict=True))
    chosen = best_choice(SimpleNamespace(open=runs.__getitem__, diverged=lambda plan: False), plans)  # type: ignore[arg-type]
    assert [plan.lr for plan, _ in chosen] == [0.2, 0.2]


def test_a_learning_rate_that_diverges_is_left_out(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops no other run, is not tried again, and the table says so."""

    def trained(zoo: Zoo, folder: Path, *, config: TrainConfig, **options: Any) -> Run:
        with monkeypatch.context() as patch:
            if config.lr == 0.5:
                patch.setattr(INRClassification, "loss", lambda self, output, target: output.sum() * float("nan"))
            return train(zoo, folder, config=config, **options)

    monkeypatch.setattr("wskan.experiments.engine.workspace.train", trained)
    scale, methods = dataclasses.replace(SMOKE, rates=(1e-3, 0.5), hidden=15), ("no_pe",)
    table = show("table6", request_of(scale, methods=methods), workspace, tmp_path).tables[0]
    assert table.cells["no_pe", "digits"].facts["rate"] == 1e-3
    text = (tmp_path / "table6" / "smoke.md").read_text()
    assert "- WS-KAN, no PE on digits, rate 0.5, seed 0: training diverged" in text
    assert "rate 0.5, seed 0: training diverged; " in capsys.readouterr().out
    show("table6", request_of(scale, methods=methods), workspace, tmp_path)
    assert "0 models to train" in capsys.readouterr().out
    alone = dataclasses.replace(scale, rates=(0.5,))
    with pytest.raises(DivergedError, match="leave its method out"):
        show("table6", request_of(alone, methods=methods), workspace, tmp_path)
    assert (tmp_path / "table6" / "smoke.md").read_text() == text


def test_a_run_is_named_after_all_that_it_depends_on() -> None:
    plan = Plan(scale=SMOKE, dataset="digits", method="ws_kan", lr=1e-3, seed=0)
    changes: list[dict[str, Any]] = [
        {"seed": 1},
        {"lr": 2e-3},
        {"train_limit": 7},
        {"method": "no_pe"},
        {"dataset": "kmnist"},
        {"scale": dataclasses.replace(SMOKE, hidden=17)},
        {"scale": dataclasses.replace(SMOKE, training=dataclasses.replace(SMOKE.training, epochs=3))},
        {"scale": dataclasses.replace(SMOKE, counts=(9, 9, 9), recipe_changes={})},
    ]
    names = {plan.name, *(dataclasses.replace(plan, **change).name for change in changes)}
    assert len(names) == len(changes) + 1
    assert dataclasses.replace(plan, scale=dataclasses.replace(SMOKE, wide_test=3)).name == plan.name


def test_the_papers_protocol() -> None:
    """C.1.2, to the letter."""
    scale = get_scale("paper")
    plan = Plan(scale=scale, dataset="mnist", method="ws_kan", lr=scale.rates[0], seed=0)
    model, training, recipe = plan.model, plan.training, plan.recipe
    assert (model.num_layers, model.hidden, model.dropout) == (4, 128, 0.2)
    assert (training.batch_size, training.weight_decay, training.epochs, training.warmup_steps) == (128, 0.01, 300, 100)
    assert (training.patience, scale.rates, len(scale.seeds)) == (0, (1e-3, 1e-4), 3)
    assert (recipe.train, recipe.val, recipe.test) == (10_000, 5_000, 10_000)
    assert (recipe.spec.widths, recipe.spec.grid, recipe.fit.schedule) == ((2, 32, 32, 1), 10, "constant")
    assert scale.recipe("cifar10").spec.widths == (2, 32, 32, 3)
    request = request_of(scale)
    assert len(EXPERIMENTS["table1"].plans(request)) == 3 * 7 * 2 * 3
    waves = EXPERIMENTS["figure8"].plans(request)
    assert {(plan.lr, plan.training.lr, plan.training.epochs) for plan in waves} == {(1e-3, 1e-3, 200)}
    assert len(waves) == 4 * 7 * 3
    assert {plan.train_limit for plan in EXPERIMENTS["figure8"].plans(request)} == {100, 200, 500, 800}
    with pytest.raises(DataError, match="no scale"):
        get_scale("huge")


def test_the_papers_protocol_for_classifiers() -> None:
    """C.2.1, table 5 and C.3.2, to the letter."""
    request = request_of(get_scale("paper"), datasets=("mnist",))
    accuracy, pruning = (EXPERIMENTS[name].plans(request) for name in ("table3", "table4"))
    assert len(accuracy) == 6 * (3 * 2 * 2) * 3
    assert len(pruning) == 6 * 2 * 3
    assert {(p.model.hidden, p.model.num_layers, p.lr) for p in accuracy} == {
        (hidden, layers, rate) for hidden in (128, 32) for layers in (4, 1) for rate in (1e-3, 5e-3, 1e-4)
    }
    assert {(p.model.hidden, p.model.num_layers, p.lr) for p in pruning} == {(128, 4, 1e-3), (128, 4, 1e-4)}
    assert {(p.training.epochs, p.training.batch_size, p.model.dropout) for p in accuracy} == {(100, 32, 0.2)}
    assert {(p.training.epochs, p.training.batch_size, p.training.weight_decay) for p in pruning} == {(15, 32, 0.01)}
    assert {(p.model.readout, p.model.out_dim) for p in accuracy} == {("graph", 1)}
    assert {(p.model.readout, p.model.out_dim) for p in pruning} == {("edge", 1)}
    recipe = accuracy[0].recipe
    assert (recipe.train, recipe.val, recipe.test, recipe.spec.widths) == (3_000, 500, 500, (784, 32, 32, 10))
    assert (recipe.fit.steps, recipe.fit.schedule, recipe.spec.grid) == (100, "constant", 5)
    assert recipe.classifier is not None
    assert (recipe.classifier.score, recipe.classifier.threshold) == ("attribution", 0.01)
    names = {plan.name for plan in (*accuracy, *pruning)}
    assert len(names) == len(accuracy) + len(pruning)


def test_settings_of_classifiers_leave_other_results_standing(workspace: Workspace) -> None:
    machine = {"processor": "x", "cores": 2}
    changed = dataclasses.replace(SMOKE, classifiers=dataclasses.replace(SMOKE.classifiers, shown=3))
    recipe = SMOKE.classifiers.recipe("digits")
    with pytest.MonkeyPatch.context() as patch:  # other KANs, the same scale
        other = dataclasses.replace(recipe, fit=dataclasses.replace(recipe.fit, rcond=1e-3))
        before = protocol(EXPERIMENTS["figure9"], request_of(SMOKE), workspace, machine)
        patch.setattr(type(SMOKE.classifiers), "recipe", lambda self, dataset: other)
        assert protocol(EXPERIMENTS["figure9"], request_of(SMOKE), workspace, machine) != before
    same = {
        name: protocol(EXPERIMENTS[name], request_of(SMOKE), workspace, machine)
        == protocol(EXPERIMENTS[name], request_of(changed), workspace, machine)
        for name in ("table1", "figure9")
    }
    assert same == {"table1": True, "figure9": False}


def test_effects_of_pruning_are_those_of_the_models_that_are_there(tmp_path: Path) -> None:
    """A run that was deleted and trained anew, to another end, is measured anew."""
    workspace = Workspace(folder=tmp_path / "work", device="cpu")
    request = request_of(datasets=("digits",))
    plan = request.plans("digits", "ws_kan", None, "pruning")[0]

    def kept() -> list[float]:
        found = show("figure5", request, workspace, tmp_path / "out").tables[1]
        return [cell.mean for (row, _), cell in found.cells.items() if row == "ws_kan"]

    first = kept()
    assert kept() == first
    path = workspace.run_folder(plan) / "run.json"
    record = json.loads(path.read_text())
    record["calibration"]["threshold"] = -100.0
    path.write_text(json.dumps(record))
    assert kept() == [100.0] * len(first)


def test_what_was_measured_is_kept_by_its_key(workspace: Workspace) -> None:
    calls: list[int] = []

    def compute() -> list[float]:
        calls.append(1)
        return [1.5]

    assert [workspace.cached({"zoo": name}, compute, [float]) for name in ("a", "a", "b", "a")] == [[1.5]] * 4
    assert len(calls) == 2
    for path in (workspace.folder / "measured").glob("*.json"):
        path.write_text("no JSON")
    with pytest.raises(DataError, match="delete it"):
        workspace.cached({"zoo": "a"}, compute, [float])


def test_aligned_and_augmented_methods() -> None:
    plan = Plan(scale=SMOKE, dataset="digits", method="mlp_aug", lr=1e-3, seed=0)
    assert plan.training.augment == ("permutation",)
    assert METHODS["mlp_align"].aligned
    assert not dataclasses.replace(plan, method="mlp_align").training.augment


PINNED = {
    ("cpu", "mnist", "ws_kan", "inr"): "mnist/ws_kan-lr0.001-seed0-1530982b",
    ("cpu", "cifar10", "mlp_aug", "inr"): "cifar10/mlp_aug-lr0.001-seed0-9a2745e6",
    ("cpu", "mnist", "mlp_align", "inr"): "mnist/mlp_align-lr0.001-seed0-ae6ebfca",
    ("cpu", "mnist", "ws_kan", "accuracy"): "mnist-accuracy/ws_kan-lr0.001-seed0-00b24af2",
    ("paper", "sine", "deep_sets", "inr"): "sine/deepsets-lr0.001-seed0-2c7858f3",
    ("smoke", "digits", "dmc", "inr"): "digits/dmc-lr0.001-seed0-c147a9c4",
}


@pytest.mark.parametrize(("key", "name"), PINNED.items())
def test_names_of_runs_stay(key: tuple[Any, ...], name: str) -> None:
    """They hash all that a run depends on, and what was measured is kept under them."""
    scale, dataset, method, problem = key
    assert Plan(scale=SCALES[scale], dataset=dataset, method=method, lr=1e-3, seed=0, problem=problem).name == name


def test_a_request_takes_the_earlier_name_of_a_method() -> None:
    requests = [EXPERIMENTS["table1"].request(SMOKE, methods=(name,)) for name in ("deepsets", "deep_sets")]
    assert requests[0] == requests[1]
    assert {plan.method for plan in EXPERIMENTS["table1"].plans(requests[0])} == {"deep_sets"}
    with pytest.raises(DataError, match="twice"):
        EXPERIMENTS["table1"].request(SMOKE, methods=("deepsets", "deep_sets"))


def test_a_run_that_was_tampered_with_is_no_result(workspace: Workspace) -> None:
    plan = Plan(scale=SMOKE, dataset="digits", method="mlp", lr=1e-3, seed=9)
    workspace.train(plan)
    path = workspace.run_folder(plan) / "run.json"
    record = json.loads(path.read_text())
    record["asked"]["train"]["lr"] = 5.0
    path.write_text(json.dumps(record))
    with pytest.raises(DataError, match="another train"):
        workspace.open(plan)


def test_one_experiment_at_a_time(workspace: Workspace) -> None:
    with hold(workspace.folder, "a test is run"), pytest.raises(DataError, match="is in use: a test is run"):
        workspace.train_all([], lambda plan, run: None)
    workspace.train_all([], lambda plan, run: None)


def test_what_is_there_costs_nothing(workspace: Workspace) -> None:
    request = request_of(seeds=(7,))
    plans = EXPERIMENTS["table6"].plans(request)
    all_of_it = estimate(workspace, plans, [plan.recipe for plan in plans])
    assert len(all_of_it.runs) == 3
    assert all_of_it.seconds > 0
    assert str(len(all_of_it.runs)) in str(all_of_it)
    for plan in plans:
        workspace.train(plan)
    assert estimate(workspace, plans, [plan.recipe for plan in plans]).seconds == 0


def test_runs_of_a_kind_are_timed_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[Plan] = []
    monkeypatch.setattr(cost, "seconds_per_graph", lambda plan, device: timed.append(plan) or float(len(timed)))
    plans = [plan for seed in (8, 9) for plan in EXPERIMENTS["table6"].plans(request_of(seeds=(seed,)))]
    runs = estimate(workspace, plans, []).runs
    assert len(timed) == len({plan.model for plan in plans}) == 3
    assert len(runs) == len(plans)
    other = dataclasses.replace(
        plans[0],
        scale=dataclasses.replace(plans[0].scale, training=dataclasses.replace(plans[0].training, batch_size=7)),
    )
    estimate(workspace, [plans[0], other], [])
    assert len(timed) == 5, "other batches take other times"


def test_missing_data_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="mnist"):
        reproduce(
            EXPERIMENTS["table1"],
            request_of(datasets=("mnist",)),
            Workspace(folder=tmp_path, data_root=tmp_path, device="cpu"),
            tmp_path,
        )


@pytest.mark.parametrize("wrong", [{"datasets": ("sine",)}, {"datasets": ()}, {"seeds": (0, 0)}, {"seeds": ()}])
def test_nonsense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        request_of(**wrong)


@pytest.mark.parametrize(("seconds", "text"), [(5, "5 s"), (600, "10 min"), (7_500, "2 h 05 min")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
