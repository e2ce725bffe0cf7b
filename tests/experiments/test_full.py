"""What only scale ``full`` has, at a size for tests."""

import dataclasses
from pathlib import Path

import pytest

from wskan.experiments import EXPERIMENTS, METHODS, SCALES, ExperimentResult, Scale, Workspace, get_scale, reproduce
from wskan.experiments.engine.methods import paper_row

SMOKE = SCALES["smoke"]
FULL = dataclasses.replace(
    SMOKE,
    name="full",
    rates=(1e-3,),
    seeds=(0,),
    wide_test=8,
    classifiers=dataclasses.replace(SMOKE.classifiers, scores=True),
    tuned={method: {"hidden": 8} for method in SCALES["full"].tuned},
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(folder=tmp_path_factory.mktemp("work"), device="cpu")


def show(name: str, workspace: Workspace, folder: Path, methods: tuple[str, ...] | None = None) -> ExperimentResult:
    found = reproduce(EXPERIMENTS[name], EXPERIMENTS[name].request(FULL, methods=methods), workspace, folder)
    assert found is not None
    return found


def test_table_1_says_what_each_row_reads(workspace: Workspace, tmp_path: Path) -> None:
    methods = ("mlp", "weights", "probes", "probe_gen", "image_cnn")
    table = show("table1", workspace, tmp_path, methods).tables[0]
    assert {row for row, _ in table.cells} == set(methods)
    reads = {"mlp": "weights", "weights": "weights", "probes": "activations", "probe_gen": "outputs"}
    assert reads.items() <= (table.reads or {}).items()
    text = (tmp_path / "table1" / "full.md").read_text()
    assert "| WS-KAN, probes | activations |" in text
    assert "WS-KAN, probes: hidden dimension 8" in text


def test_tables_2_and_parametrisations_compare_what_table_1_trained(workspace: Workspace, tmp_path: Path) -> None:
    table = show("table2", workspace, tmp_path).tables[0]
    assert list(table.rows) == ["weights digits", "probes digits"]
    accuracies = show("parametrisations", workspace, tmp_path).tables[0]
    assert {row for row, _ in accuracies.cells} == {"splines"}
    assert len(accuracies.cells) == 4


def test_scores_in_closed_form_stand_beside_what_was_trained(workspace: Workspace, tmp_path: Path) -> None:
    for table in show("table4", workspace, tmp_path).tables:
        assert ("closed_form", "digits") in table.cells
        assert ("scores", "digits") in table.cells
    assert table.cells["closed_form", "digits"].mean > 80  # ROC-AUC, without training
    tables = show("figure5", workspace, tmp_path).tables
    assert all("closed_form" in table.rows for table in tables[:3])
    assert "ws_kan" in tables[3].rows


def test_methods_of_their_own_have_settings_of_their_own() -> None:
    def plan(scale: Scale, method: str) -> tuple[int, int]:
        (first, *_) = EXPERIMENTS["table1"].request(scale).plans("mnist", method)
        return first.model.hidden, first.training.epochs

    full = get_scale("full")
    assert plan(full, "probes") == (full.of("probes").hidden, full.of("probes").training.epochs)
    assert plan(full, "mlp") == (full.hidden, full.training.epochs)
    mirrored = {d: EXPERIMENTS["table1"].request(full).plans(d, "probes")[0].training.augment for d in full.datasets}
    assert {d: "mirror" in augment for d, augment in mirrored.items()} == {
        "mnist": False,
        "fashion-mnist": True,
        "cifar10": True,
    }
    assert not EXPERIMENTS["table3"].request(full).plans("mnist", "weights", problem="accuracy")[0].training.augment
    assert all(METHODS[method].reads for method in METHODS)
    assert {paper_row(method) for method in ("weights", "probes", "scores", "ws_kan")} == {"ws_kan"}
    assert paper_row("image_cnn") == "image_cnn"
