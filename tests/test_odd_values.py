"""Values that Python takes for numbers, or for true, where files and callers give them."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wskan.cli import main
from wskan.errors import DataError
from wskan.experiments import Workspace
from wskan.experiments.table import Cell, Table
from wskan.graph import FeatureConfig
from wskan.kan import FitConfig, KANSpec
from wskan.models import MODELS, build_model, load_model
from wskan.tasks import TrainConfig, get_task, learning_curve, open_run, read_record, train
from wskan.tasks.run import finished_run
from wskan.testing import FakeZoo
from wskan.zoo import Recipe, Zoo, build_zoo, open_zoo
from wskan.zoo.recipe import Classifier

ODD: list[Any] = [10**400, float("nan"), float("inf"), -1, True, "1", None, [1], {"a": 1}]
SPEC = KANSpec(widths=(2, 4, 1), grid=3)
TINY = Recipe(
    name="tiny", dataset="digits", spec=SPEC, fit=FitConfig(steps=3, batch_size=32), train=8, val=3, test=3, shard_size=7
)  # fmt: skip
MODEL = {"model": "mlp", "widths": [2, 4, 1], "edge_dim": 8, "out_dim": 10, "hidden": 4, "num_layers": 1}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    return build_zoo(TINY, tmp_path_factory.mktemp("zoos") / "zoo")


FIELDS: dict[str, Callable[[Any], object]] = {
    "grid": lambda v: KANSpec(widths=(2, 1), grid=v),
    "width": lambda v: KANSpec(widths=(2, v)),
    "domain": lambda v: KANSpec(widths=(2, 1), domain=(-2.0, v) if v != -1 else (v, v)),
    "steps": lambda v: FitConfig(steps=v),
    "lr": lambda v: FitConfig(lr=v),
    "grid_eps": lambda v: FitConfig(grid_eps=v),
    "adapt_grid": lambda v: FitConfig(adapt_grid=v if v is not True else 1),  # type: ignore[arg-type]
    "train": lambda v: dataclasses.replace(TINY, train=v),
    "threshold": lambda v: Classifier(threshold=v),
    "scored": lambda v: Classifier(scored=v),
    "epochs": lambda v: TrainConfig(epochs=v),
    "gradient_clip": lambda v: TrainConfig(gradient_clip=v if v != float("inf") else 0),
    "probes": lambda v: FeatureConfig(probes=v),
    "hidden": lambda v: build_model({**MODEL, "hidden": v}),
    "dropout": lambda v: build_model({**MODEL, "dropout": v}),
}


@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize("field", FIELDS)
def test_odd_values_are_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(DataError, match=field) as error:
        FIELDS[field](value)
    assert len(str(error.value)) < 400
    assert str(error.value).isprintable()


MANIFESTS: dict[str, Callable[[dict[str, Any], Any], Any]] = {
    "recipe": lambda m, v: m.update(recipe=v),
    "domain": lambda m, v: m["recipe"]["spec"].update(domain=[v if v != -1 else 3, 2]),
    "adapt_grid": lambda m, v: m["recipe"]["fit"].update(adapt_grid=v if v is not True else 1),
    "name": lambda m, v: m["recipe"].update(name=v if v != "1" else "a\x1b[31m\n"),
    "size": lambda m, v: m["shards"][0].update(size=v),
    "seconds": lambda m, v: m["shards"][0].update(seconds=v),
    "sha256": lambda m, v: m["shards"][1].update(sha256=v),
    "built_with": lambda m, v: m["built_with"].update(torch=v if v != "1" else "[/x]" * 1000),
    "format_version": lambda m, v: m.update(format_version=v if v is not True else 1.5),
}


@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize("field", MANIFESTS)
def test_odd_manifests_are_refused_in_one_line(zoo: Zoo, tmp_path: Path, field: str, value: Any) -> None:
    manifest = json.loads((zoo.folder / "manifest.json").read_text())
    MANIFESTS[field](manifest, value)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=r"manifest\.json") as error:
        open_zoo(tmp_path)
    assert len(str(error.value)) < 600
    assert str(error.value).isprintable()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    fake, task, folder = FakeZoo(), get_task("inr-classification"), tmp_path_factory.mktemp("runs") / "run"
    features = FeatureConfig(form="raw")
    dims = {"edge_dim": features.edge_dim(fake.spec), "node_dim": features.node_dim(fake.spec)}
    config = MODELS["mlp"][1](model="mlp", widths=fake.spec.widths, out_dim=10, hidden=4, num_layers=1, **dims)
    train(fake, task, config, TrainConfig(epochs=2, batch_size=16), folder, features=features, device="cpu")
    return folder


@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize("field", ["train_seconds", "parameters", "epochs", "val", "test", "accuracy", "calibration"])
def test_odd_runs_are_refused_in_one_line(run: Path, tmp_path: Path, field: str, value: Any) -> None:
    record = json.loads((run / "run.json").read_text())
    (record["val"] if field == "accuracy" else record)[field] = value
    (tmp_path / "run.json").write_text(json.dumps(record))
    if field == "accuracy" and isinstance(value, int | float) and value is not True and value != 10**400:
        return  # numbers, as some metrics are
    with pytest.raises(DataError) as error:
        open_run(tmp_path)
    assert len(str(error.value)) < 600
    assert str(error.value).isprintable()


def test_damaged_runs_and_models_end_in_one_line(run: Path, tmp_path: Path) -> None:
    for name, read in (("run.json", read_record), ("config.json", load_model)):
        for content in (b"", b"\xff", b"[]", b'{"a": 1, "a": 2}', b"[" * 10**6, b" " * 2**21):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(DataError, match=name) as error:
                read(tmp_path)
            assert str(error.value).isprintable()
        (tmp_path / name).unlink()
        (tmp_path / name).symlink_to("/dev/zero")
        with pytest.raises(DataError, match="not a regular file"):
            read(tmp_path)


HEAD = "epoch,seconds,train_loss,val_accuracy\n"


@pytest.mark.parametrize(
    "rows",
    ["0,1,2\n", "0,1,2,3,4\n", "x,1,2,3\n", ",1,2,3\n", "nan,1,2,3\n", "1e400,1,2,3\n", "0,1,two,3\n", "-1,,,\n"],
)
def test_damaged_logs_are_refused_by_line(tmp_path: Path, rows: str) -> None:
    log = tmp_path / "logs" / "version_0" / "metrics.csv"
    log.parent.mkdir(parents=True)
    log.write_text(f"{HEAD}0,1,2,3\n{rows}")
    with pytest.raises(DataError, match=r"metrics\.csv: line 3 "):
        learning_curve(tmp_path)


@pytest.mark.parametrize("text", ["\n" * 300_000, "epoch\n" + "0\n" * 300_000, "epoch" + ",x" * 1_100_000 + "\n"])
def test_logs_of_too_many_values_are_refused_before_they_take_memory(tmp_path: Path, text: str) -> None:
    log = tmp_path / "logs" / "version_0" / "metrics.csv"
    log.parent.mkdir(parents=True)
    log.write_text(text)
    with pytest.raises(DataError, match=r"metrics\.csv: has too many lines or columns"):
        learning_curve(tmp_path)


def test_logs_of_killed_processes_are_read(run: Path, tmp_path: Path) -> None:
    assert [row["epoch"] for row in learning_curve(run)] == [0, 1]
    log = tmp_path / "logs" / "version_0" / "metrics.csv"
    log.parent.mkdir(parents=True)
    for content, epochs in (("", []), (HEAD, []), (f"{HEAD}0,1,2,\n0,,,3\n1,1,2,3", [0])):
        log.write_text(content)
        assert [row["epoch"] for row in learning_curve(tmp_path)] == epochs
    assert learning_curve(tmp_path)[0] == {"epoch": 0, "seconds": 1, "train_loss": 2, "val_accuracy": 3}
    log.unlink()
    log.symlink_to("/dev/zero")
    with pytest.raises(DataError, match="regular"):
        learning_curve(tmp_path)


@pytest.mark.parametrize("name", ["a::b", "s3://x", "local:://y"])
def test_folders_that_lightning_takes_for_addresses_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="choose another folder"):
        finished_run(tmp_path / name.replace("//", "") / "::", {})


@pytest.mark.parametrize("value", [*ODD[3:], {"a": "x"}, {"rows": {}}], ids=str)
def test_what_was_measured_in_another_shape_is_refused(tmp_path: Path, value: Any) -> None:
    workspace, shape = Workspace(folder=tmp_path), {"a": float, "rows": {str: [float]}}
    good = {"a": 1.5, "rows": {"x": [1, 0.5]}}
    assert workspace.cached({"k": 1}, lambda: good, shape)["a"] == 1.5
    assert workspace.cached({"k": 1}, lambda: None, shape)["rows"]["x"][0] == 1
    (path,) = (tmp_path / "measured").iterdir()
    not_finite = {"a": float("nan"), "rows": {}}
    for broken in ({"key": {"k": 1}, "value": value}, {"key": {"k": 1}, "value": not_finite}, value):
        path.write_text(json.dumps(broken))
        with pytest.raises(DataError, match="delete it"):
            workspace.cached({"k": 1}, lambda: good, shape)


def test_what_is_not_finite_is_not_kept(tmp_path: Path) -> None:
    workspace = Workspace(folder=tmp_path)
    for value in (float("nan"), 2.0, 3.0):
        found = workspace.cached({"k": 1}, lambda value=value: {"a": value}, {"a": float})  # type: ignore[misc]
    assert found == {"a": 2.0}


def table() -> dict[str, Any]:
    cells = {("r", "c"): Cell(values=(1.0,), paper=(1.0, 0.0), facts={"runs": ["x"], "seeds": [0]})}
    made = Table(
        title="t", unit="u", better="higher", rows={"r": "R"}, columns={"c": "C"}, cells=cells, groups={"r": "g"}
    )
    return json.loads(json.dumps(made.to_dict()))  # type: ignore[no-any-return]


PLACES: dict[str, Callable[[dict[str, Any], Any], Any]] = {
    "values": lambda t, v: t["cells"]["c"]["r"].update(values=v if v != [1] else []),
    "a value": lambda t, v: t["cells"]["c"]["r"].update(values=[v if v != -1 else "x"]),
    "paper": lambda t, v: t["cells"]["c"]["r"].update(paper=v if v is not None else [1]),
    "facts": lambda t, v: t["cells"]["c"]["r"].update(runs=v),
    "cell": lambda t, v: t["cells"]["c"].update(r=v),
    "column": lambda t, v: t["cells"].update(d=v if not isinstance(v, dict) else {"r": t["cells"]["c"]["r"]}),
    "rows": lambda t, v: t["labels"].update(rows=v),
    "notes": lambda t, v: t.update(notes=v),
    "better": lambda t, v: t.update(better=v),
    "decimals": lambda t, v: t["style"].update(decimals=v if v != -1 else 99),
    "groups": lambda t, v: t["style"].update(groups=v if v is not None else {}),
    "log": lambda t, v: t["style"].update(log=v if v is not True else 1),
}


@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize("place", PLACES)
def test_tables_of_another_shape_are_refused(place: str, value: Any) -> None:
    assert json.loads(json.dumps(Table.from_dict(table()).to_dict())) == table()
    data = table()
    PLACES[place](data, value)
    with pytest.raises(DataError, match="not a table"):
        Table.from_dict(data)


def fails(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main(args)
    assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("wskan: ")
    return lines[0]


def test_odd_words_on_the_command_line(zoo: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = tmp_path / "[bold]\x1b[31m\n"
    assert "tolerance" in fails(capsys, "zoo", "align", str(zoo.folder), str(tmp_path / "a"), "--tolerance", "nan")
    assert "device 'meta'" in fails(capsys, "zoo", "build", "digits-inr", str(tmp_path / "z"), "--device", "meta", "--engine", "torch")  # fmt: skip
    assert "is not a zoo" in fails(capsys, "zoo", "info", f"{odd}\udcff")
    odd.symlink_to(zoo.folder)
    main(["zoo", "info", str(odd)])
    main(["zoo", "verify", str(odd)])
    main(["align", f"{odd}:0", f"{odd}:1"])
    told = capsys.readouterr().out
    assert "\x1b[31m" not in told
    assert r"[bold]\x1b[31m\n" in told.replace("\n", "")
    (tmp_path / "file").write_text("")
    assert "Errno" not in fails(capsys, "zoo", "build", "digits-inr", str(tmp_path / "file"))
    assert "Errno" not in fails(capsys, "zoo", "info", str(tmp_path / "file"))
    assert "Errno" not in fails(capsys, "zoo", "info", "x" * 5000)


def test_other_data_under_a_begun_zoo_is_refused(zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from wskan.zoo import builder
    from wskan.zoo.targets import files_of, load_targets

    def with_files(files: dict[str, str]) -> Any:
        return lambda *args, **kwargs: dataclasses.replace(load_targets(*args, **kwargs), files=files)

    assert files_of() == {}
    monkeypatch.setattr(builder, "load_targets", with_files({"data_sha256": "a", "data_not_as_published": "x.gz"}))
    folder = build_zoo(TINY, tmp_path / "zoo").folder
    assert open_zoo(folder).manifest.built_with["data_not_as_published"] == "x.gz"
    (folder / "shards" / "00001.safetensors").unlink()
    monkeypatch.setattr(builder, "load_targets", with_files({"data_sha256": "b"}))
    with pytest.raises(DataError, match="begun with other files"):
        build_zoo(TINY, folder)
