"""The names that ``import wskan`` offers, and the jobs that take one call."""

from __future__ import annotations

import ast
import dataclasses
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import wskan
from wskan.errors import DataError
from wskan.graph import EVALUABLE, FeatureConfig
from wskan.models import MODELS, FlatMLP, FlatMLPConfig, MetaNetwork, WSKANConfig
from wskan.tasks import TASKS, Regression, TrainConfig, get_task, model_config
from wskan.testing import FakeZoo, random_population

QUICK = {"hidden": 8, "num_layers": 1, "epochs": 1, "batch_size": 16, "device": "cpu"}


@pytest.fixture
def zoo() -> FakeZoo:
    return FakeZoo((2, 4, 1))


def test_import_is_light_and_the_command_line_too() -> None:
    heavy = "{'torch', 'lightning', 'torch_geometric', 'numpy', 'sklearn', 'huggingface_hub'} & set(sys.modules)"
    for module in ("wskan", "wskan.cli.commands"):
        code = f"import sys, {module}; sys.exit(str({heavy}) if {heavy} else 0)"
        assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0, module


def test_every_name_is_there_and_known_to_type_checkers() -> None:
    for name in wskan.__all__:
        assert getattr(wskan, name).__name__.split(".")[-1] == name
    assert set(wskan.__all__) <= set(dir(wskan))
    tree = ast.parse(Path(str(wskan.__file__)).read_text())
    typed = next(node for node in tree.body if isinstance(node, ast.If)).body
    names = {alias.name for node in typed if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert names == set(wskan.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = wskan.nonsense  # type: ignore[attr-defined]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from wskan.cli import main

    main(["--version"])
    assert capsys.readouterr().out == f"wskan {wskan.__version__}\n"
    citation = Path(__file__).parent.parent / "CITATION.cff"
    assert f"\nversion: {wskan.__version__}\n" in citation.read_text()


def test_names_and_options_do_what_configurations_do(zoo: FakeZoo, tmp_path: Path) -> None:
    task, features = get_task("inr-classification"), FeatureConfig.recommended(zoo.spec)
    model = model_config("ws_kan", zoo.spec, task, features, hidden=8, num_layers=1)
    assert isinstance(model, WSKANConfig)
    config = TrainConfig(epochs=1, batch_size=16)
    run = wskan.train(zoo, tmp_path / "run", **QUICK)
    again = wskan.train(zoo, tmp_path / "run", task=task, model=model, features=features, config=config, device="cpu")
    assert again.record == run.record
    assert run.features == features
    assert run.evaluate(zoo) == pytest.approx(run.record["test"])


@pytest.mark.parametrize(("model", "options"), [("probe_gen", {"probes": 4}), ("ws_kan", {"learned_probes": 4})])
def test_models_that_evaluate_kans_read_all_of_them(
    zoo: FakeZoo, tmp_path: Path, model: str, options: dict[str, int]
) -> None:
    run = wskan.train(zoo, tmp_path, model=model, **QUICK, **options)
    assert run.features == EVALUABLE


def test_what_is_asked_for_by_a_wrong_name(zoo: FakeZoo, tmp_path: Path) -> None:
    task, features = get_task("inr-classification"), FeatureConfig()
    model = model_config("mlp", zoo.spec, task, features, hidden=8)
    for arguments, message in (
        ({"hiden": 8}, r"model ws_kan has no hiden \(did you mean 'hidden'\?\); it has hidden, num_layers, dropout"),
        ({"model": "resnet"}, "unknown model 'resnet'; choose from"),
        ({"task": "chess"}, "no task 'chess'"),
        ({"model": model, "features": features, "dropout": 0.5}, "dropout: options of a model that is given by name"),
        ({"epochs": 0}, "epochs"),
    ):
        with pytest.raises(DataError, match=message):
            wskan.train(zoo, tmp_path / "run", **arguments)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"model mlp has no widths"):
        model_config("mlp", zoo.spec, task, features, widths=(2, 1))
    assert not (tmp_path / "run").exists()


def test_the_callers_random_state_stays(zoo: FakeZoo, tmp_path: Path) -> None:
    def states() -> tuple[object, ...]:
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()

    torch.manual_seed(123)
    before = states()
    run = wskan.train(zoo, tmp_path, dropout=0.5, augment=("permutation",), **QUICK)
    run.predict(zoo.population("test"))
    run.evaluate(zoo)
    kans = zoo.population("test")
    wskan.merge_many(kans)
    wskan.weight_matching(kans, kans[:1])
    wskan.attribution(kans)
    inputs = torch.rand(32, 2, generator=torch.Generator().manual_seed(0))
    config = wskan.FitConfig(steps=3, batch_size=8, adapt_grid=False)
    wskan.fit_population(zoo.spec, inputs, torch.zeros(2, 32, 1), torch.tensor([1, 2]), config)
    assert states() == before


def test_a_split_is_a_choice_of_kans(zoo: FakeZoo) -> None:
    kans, rows = zoo.population("val"), zoo.population(zoo.split("val"))
    assert torch.equal(kans.layers[0].coef, rows.layers[0].coef)
    with pytest.raises(DataError, match="unknown split 'valid'"):
        zoo.population("valid")


def test_evaluation_checks_what_the_command_line_checks(zoo: FakeZoo, tmp_path: Path) -> None:
    run = wskan.train(zoo, tmp_path / "run", features=FeatureConfig(form="raw"), model="mlp", **QUICK)
    recipe = dataclasses.replace(zoo.recipe, spec=dataclasses.replace(zoo.spec, grid=zoo.spec.grid + 1))
    other = FakeZoo((2, 4, 1))
    other.manifest = dataclasses.replace(other.manifest, recipe=recipe)
    with pytest.raises(DataError, match="their features mean different things"):
        run.evaluate(other)
    with pytest.raises(DataError, match="pykan"):
        run.predict(torch.nn.Linear(2, 2))


def test_models_and_tasks_of_ones_own(zoo: FakeZoo, tmp_path: Path) -> None:
    try:

        @wskan.register_model("mine", FlatMLPConfig)
        class Mine(FlatMLP):
            pass

        @wskan.register_task
        class FirstLabel(Regression):
            name, columns, out_dim = "first-label", ("label",), 1
            center, spread = 4.5, 2.9

        run = wskan.train(zoo, tmp_path, model="mine", task="first-label", features=FeatureConfig(), **QUICK)
        assert isinstance(wskan.open_run(tmp_path).model, Mine)
        assert isinstance(run.task, FirstLabel)
        with pytest.raises(DataError, match="'mine' belongs to Mine"):

            @wskan.register_model("mine", FlatMLPConfig)
            class Other(MetaNetwork):
                pass

        with pytest.raises(DataError, match="'first-label' belongs to FirstLabel"):

            @wskan.register_task
            class Another(Regression):
                name, columns, out_dim = "first-label", ("label",), 1

    finally:
        MODELS.pop("mine", None)
        TASKS.pop("first-label", None)


def test_pykan_models_are_taken_as_they_are(tmp_path: Path) -> None:
    kan = pytest.importorskip("kan")
    zoo = FakeZoo((2, 4, 1))
    run = wskan.train(zoo, tmp_path, **QUICK)
    model = kan.KAN(width=[2, 4, 1], grid=4, k=3, auto_save=False, seed=0)
    torch.testing.assert_close(run.predict(model), run.predict(wskan.from_pykan(model)))
    assert random_population((2, 4, 1), 2, 0).connected_outputs().shape == (2, 1)
