import dataclasses
import json
import os
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from wskan.cli import main
from wskan.cli import quickstart as quickstart_module
from wskan.cli.train import Train
from wskan.cli.zoo import Build, _print_info
from wskan.kan import FitConfig, KANSpec, Score
from wskan.models import MODELS
from wskan.tasks.augmentation import Symmetry
from wskan.testing import FakeZoo
from wskan.zoo import ClassifierConfig, Recipe, build_zoo, recipes
from wskan.zoo.recipe import Storage

TINY = Recipe(
    name="tiny",
    dataset="digits",
    spec=KANSpec(widths=(2, 4, 1), grid=3),
    fit=FitConfig(steps=30, batch_size=32),
    train=40,
    val=12,
    test=12,
    shard_size=32,
)


@pytest.fixture(autouse=True)
def tiny_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(recipes.RECIPES, "tiny", TINY)
    monkeypatch.setitem(recipes.RECIPES, "digits-inr", TINY)


def test_zoo_train_evaluate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zoo, run = str(tmp_path / "zoo"), str(tmp_path / "run")
    main(["zoo", "build", "tiny", zoo, "--test", "13"])
    assert "13 test" in capsys.readouterr().out
    main(["zoo", "info", zoo])
    assert "PSNR" in capsys.readouterr().out
    main(["zoo", "verify", zoo])
    assert "all checksums match" in capsys.readouterr().out
    main(["train", zoo, run, "--hidden", "8", "--layers", "1", "--epochs", "2", "--batch-size", "16", "--knots"])
    assert "accuracy" in capsys.readouterr().out
    main(["evaluate", run, zoo, "--split", "val"])
    assert "12 val KANs" in capsys.readouterr().out
    short = ["--hidden", "8", "--layers", "1", "--epochs", "1", "--batch-size", "16"]
    options = ["--model", "set_transformer", "--heads", "2", "--inducing", "3", "--augment", "permutation"]
    main(["train", zoo, str(tmp_path / "set"), *short, *options])
    asked = json.loads((tmp_path / "set" / "run.json").read_text())["asked"]
    assert (asked["model"]["heads"], asked["model"]["inducing"], asked["train"]["augment"]) == (2, 3, ["permutation"])
    main(["train", zoo, str(tmp_path / "gauge"), *short, "--form", "gauge", "--knots", "--augment", "scale", "sign"])
    asked = json.loads((tmp_path / "gauge" / "run.json").read_text())["asked"]
    assert asked["features"] == {"form": "gauge", "knots": True}
    assert (asked["model"]["bias_dim"], asked["train"]["augment"]) == (1, ["scale", "sign"])
    main(["evaluate", str(tmp_path / "gauge"), zoo])
    with pytest.raises(SystemExit) as stop:
        main(
            [
                "train",
                zoo,
                str(tmp_path / "no"),
                *short,
                "--model",
                "dmc",
                "--inducing",
                "0",
                "--checkpoint-activations",
            ]
        )
    assert stop.value.code == 2
    assert "model dmc has no checkpoint_activations and no inducing" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_what_is_said_of_a_zoo_depends_on_what_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    _print_info(FakeZoo(classifiers=True).info(), Path("zoo"))
    told = capsys.readouterr().out
    assert all(word in told for word in ("mean 53.4%", "permuted labels", "keeps 11.5% of the edges"))
    assert "PSNR" not in told
    _print_info(FakeZoo().info(), Path("zoo"))
    told = capsys.readouterr().out
    assert "mean 50.0 dB" in told
    assert not any(word in told for word in ("accuracy", "permuted", "oracle"))


def test_classifiers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    zoo = FakeZoo(classifiers=True)
    monkeypatch.setattr("wskan.zoo.open_zoo", lambda folder: zoo)
    short = ["--hidden", "8", "--layers", "1", "--epochs", "1", "--batch-size", "16"]
    for task, metrics in (("auto", ("mse", "r2", "kendall")), ("pruning-mask", ("auc", "accuracy"))):
        main(["train", "zoo", str(tmp_path / task), *short, "--task", task])
        told = capsys.readouterr().out
        assert all(metric in told for metric in metrics)
        main(["evaluate", str(tmp_path / task), "zoo"])
        told = capsys.readouterr().out
        record = json.loads((tmp_path / task / "run.json").read_text())
        assert "20 test KANs" in told
        assert all(f"{metric} {record['test'][metric]:.4g}" in " ".join(told.split()) for metric in metrics)


def test_what_the_oracle_of_a_zoo_asks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    built: list[Recipe] = []
    monkeypatch.setattr(
        "wskan.zoo.build_zoo", lambda recipe, *_, **__: built.append(recipe) or FakeZoo(classifiers=True)
    )
    main(["zoo", "build", "digits-classifier", "zoo", "--score", "activation", "--threshold", "0.05"])
    assert built[0].classifier == ClassifierConfig(score="activation", threshold=0.05)
    main(["zoo", "build", "digits-classifier", "zoo", "--scores", "--threshold", "0"])
    assert built[1].classifier == ClassifierConfig(scores=True, threshold=0)
    with pytest.raises(SystemExit):
        main(["zoo", "build", "tiny", "zoo", "--score", "activation", "--storage", "float16"])
    assert "tiny is not a recipe of classifiers; leave out --storage, --score" in capsys.readouterr().err
    hints = typing.get_type_hints(Build)
    assert hints["score"] == Score | None
    assert hints["storage"] == Storage | None


def test_every_model_and_symmetry_can_be_chosen() -> None:
    hints = typing.get_type_hints(Train)
    assert set(typing.get_args(hints["model"])) == set(MODELS)
    assert hints["augment"] == tuple[Symmetry, ...]


def test_align(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zoo, picture = str(tmp_path / "zoo"), tmp_path / "line.png"
    main(["zoo", "build", "tiny", zoo])
    main(["zoo", "align", zoo, str(tmp_path / "aligned"), "--subset", "10"])
    assert "64 KANs aligned" in capsys.readouterr().out
    main(["align", f"{zoo}:0", f"{zoo}:1"])
    assert "squared distance" in capsys.readouterr().out
    pytest.importorskip("matplotlib")
    main(["align", f"{zoo}:3", "--plot", str(picture)])
    assert "reseed 1" in capsys.readouterr().out
    assert picture.stat().st_size > 5_000
    main(["align", f"{zoo}:0", f"{zoo}:60", "--plot", str(picture)])
    for wrong, message in ((zoo, "is not a KAN"), (f"{zoo}:64", "has no KAN 64"), (f"{zoo}:-1", "is not a KAN")):
        with pytest.raises(SystemExit):
            main(["align", wrong])
        assert message in capsys.readouterr().err


def test_quickstart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    main(["quickstart", str(tmp_path / "q"), "--epochs", "2"])
    assert "ws_kan" in capsys.readouterr().out
    for name in ("reconstructions.png", "confusion.png"):
        assert (tmp_path / "q" / name).stat().st_size > 5_000
    summary = json.loads((tmp_path / "q" / "summary.json").read_text())
    assert set(summary["runs"]) == {"mlp", "ws_kan"}
    assert sum(map(sum, summary["confusion"])) == 12


def test_errors_are_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["zoo", "info", str(tmp_path)])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("wskan: ")
    with pytest.raises(SystemExit) as stop:
        main(["zoo", "build", "nope", str(tmp_path / "x")])
    assert stop.value.code == 2
    assert "`wskan zoo recipes` lists them" in capsys.readouterr().err

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(quickstart_module.Quickstart, "run", interrupted)
    with pytest.raises(SystemExit) as stop:
        main(["quickstart"])
    assert stop.value.code == 130


@pytest.mark.parametrize("command", ["recipes", "verify", "--help"])  # printed by Rich, by Python and by tyro
def test_a_closed_pipe_ends_the_command_silently(tmp_path: Path, command: str) -> None:
    folder = [str(build_zoo(TINY, tmp_path / "zoo").folder)] if command == "verify" else []
    read, write = os.pipe()
    os.close(read)
    try:
        result = subprocess.run(
            [sys.executable, "-c", "from wskan.cli import main\nmain()", "zoo", command, *folder],
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        os.close(write)
    assert (result.returncode, result.stderr) == (141, "")


def test_help_needs_no_torch() -> None:
    code = "import sys\nfrom wskan.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_importing_the_package_is_light() -> None:
    code = "import sys, wskan.models, wskan.zoo\n"
    code += "assert not {'torch_geometric', 'lightning', 'sklearn', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_recipe_is_what_it_says() -> None:
    assert dataclasses.replace(TINY, test=13).digest != TINY.digest
