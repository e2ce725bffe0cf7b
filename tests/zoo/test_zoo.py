import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from wskan import files
from wskan.errors import DataError
from wskan.kan import FitConfig, KANSpec, Population
from wskan.zoo import RECIPES, Recipe, Zoo, build_zoo, get_recipe, open_zoo, reconstruct
from wskan.zoo.manifest import Manifest, sha256

TINY = Recipe(
    name="tiny",
    dataset="digits",
    spec=KANSpec(widths=(2, 4, 1), grid=3),
    fit=FitConfig(steps=30, batch_size=32),
    train=8,
    val=3,
    test=3,
    shard_size=4,
)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    return build_zoo(TINY, tmp_path_factory.mktemp("zoos") / "zoo")


@pytest.fixture
def copy(zoo: Zoo, tmp_path: Path) -> Path:
    return Path(shutil.copytree(zoo.folder, tmp_path / "copy"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "shards").iterdir())}


def test_columns_and_splits(zoo: Zoo) -> None:
    assert len(zoo) == 14
    assert [len(zoo.split(name)) for name in ("train", "val", "test")] == [8, 3, 3]
    assert zoo.columns["index"].tolist() == list(range(14))
    assert len(zoo.columns["seed"].unique()) == 14
    assert set(zoo.columns) == {"index", "split", "source", "seed", "attempts", "loss", "psnr", "label"}
    info = zoo.info()
    assert info["counts"] == {"train": 8, "val": 3, "test": 3}
    json.dumps(info)


def test_population_rows_in_any_order_across_shards(zoo: Zoo) -> None:
    everything, rows = zoo.population(slice(None)), torch.tensor([13, 0, 5, 4])
    for name, tensor in zoo.population(rows).tensors().items():
        assert torch.equal(tensor, everything.tensors()[name][rows])
    assert len(zoo.population(slice(3, 5))) == 2


def test_kans_represent_their_images(zoo: Zoo) -> None:
    rows = zoo.split("test")
    original, reconstruction = reconstruct(zoo, rows)
    assert original.shape == (3, 8, 8, 1)
    mse = (original - reconstruction).square().flatten(1).mean(1)
    torch.testing.assert_close(mse.double(), zoo.columns["loss"][rows], rtol=1e-3, atol=1e-6)


def test_a_larger_zoo_represents_the_images_of_a_smaller_one() -> None:
    from wskan.zoo.targets import load_targets

    small, large = load_targets(TINY), load_targets(dataclasses.replace(TINY, train=20))
    assert torch.equal(small.source[:8], large.source[:8])
    assert torch.equal(small.source[8:], large.source[20:])


def test_a_shard_is_a_pure_function_of_recipe_and_number(zoo: Zoo, tmp_path: Path) -> None:
    again = build_zoo(TINY, tmp_path / "again")
    assert contents(again.folder) == contents(zoo.folder)


KILLED = """
import sys, json
from wskan.zoo import Recipe, build_zoo
build_zoo(Recipe.from_dict(json.loads(sys.argv[1])), sys.argv[2])
"""


def test_killed_and_resumed_ends_with_the_same_bytes(tmp_path: Path) -> None:
    recipe = dataclasses.replace(TINY, fit=FitConfig(steps=1500, batch_size=32), shard_size=1)
    whole, cut = build_zoo(recipe, tmp_path / "whole"), tmp_path / "cut"
    moments = random.Random(0)
    for _ in range(3):
        before = len(list(cut.glob("shards/*.safetensors")))
        command = [sys.executable, "-c", KILLED, json.dumps(recipe.to_dict()), str(cut)]
        process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
        while process.poll() is None and len(list(cut.glob("shards/*.safetensors"))) == before:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert 0 < len(Manifest.read(cut).shards) < recipe.num_shards
    assert contents(build_zoo(recipe, cut).folder) == contents(whole.folder)


def test_only_the_damaged_shard_is_built_again(zoo: Zoo, copy: Path) -> None:
    path, kept = copy / "shards" / "00001.safetensors", copy / "shards" / "00003.safetensors"
    path.write_bytes(b"x" * path.stat().st_size)
    before = kept.stat().st_mtime_ns
    build_zoo(TINY, copy).verify()
    assert contents(copy) == contents(zoo.folder)
    assert kept.stat().st_mtime_ns == before


def test_shards_are_readable_by_others_and_leftovers_are_swept(zoo: Zoo, copy: Path, tmp_path: Path) -> None:
    assert all(path.stat().st_mode & 0o044 for path in (zoo.folder / "shards").iterdir())
    leftover = (
        copy / "shards" / f".00001.safetensors.wskan-{files._machine()}-{2**22 + 1}-{0:016x}.tmp"
    )  # no such process
    leftover.write_bytes(b"half")
    build_zoo(TINY, copy)
    assert not leftover.exists()
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / ".manifest.json.99.tmp").write_text("{")  # killed during its very first write
    build_zoo(TINY, tmp_path / "begun").verify()


def test_a_flipped_byte_is_reported_by_name_and_mended(zoo: Zoo, copy: Path) -> None:
    path = copy / "shards" / "00002.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"00002\.safetensors.*SHA-256"):
        open_zoo(copy).verify()
    build_zoo(TINY, copy).verify()
    assert contents(copy) == contents(zoo.folder)


def test_a_truncated_or_missing_shard_is_reported_by_name(copy: Path) -> None:
    path = copy / "shards" / "00001.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DataError, match=r"00001\.safetensors"):
        open_zoo(copy)
    path.unlink()
    with pytest.raises(DataError, match=r"00001\.safetensors"):
        open_zoo(copy)


def test_numbers_that_are_not_finite_are_refused(copy: Path) -> None:
    path = copy / "shards" / "00001.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    tensors["layers.0.coef"][2, 0, 0, 0] = float("nan")
    save_file(tensors, path)
    with pytest.raises(DataError, match=r"\[6\] are not finite"):
        open_zoo(copy).population(slice(None))


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(format="x"),
        lambda m: m.update(format_version=99),
        lambda m: m["recipe"].update(train=-1),
        lambda m: m["recipe"]["spec"].update(widths=[2, 10**9]),
        lambda m: m["shards"].pop(),
        lambda m: m["shards"][0].update(count=3),
        lambda m: m["shards"][0].update(sha256="../../x"),
        lambda m: m.update(shards=[{}] * 99),
        lambda m: m["recipe"]["spec"].update(grid=4),
    ],
)
def test_broken_manifests_are_refused(copy: Path, change) -> None:  # type: ignore[no-untyped-def]
    path = copy / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    with pytest.raises(DataError):
        open_zoo(copy)


def test_what_is_not_a_zoo_is_refused(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a zoo"):
        open_zoo(tmp_path)
    (copy / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="not JSON"):
        open_zoo(copy)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    with pytest.raises(DataError, match="not empty"):
        build_zoo(TINY, tmp_path / "full")
    assert (tmp_path / "full" / "letter.txt").read_text() == "dear"


def test_another_recipes_folder_is_refused(copy: Path) -> None:
    before = contents(copy)
    with pytest.raises(DataError, match="another recipe"):
        build_zoo(dataclasses.replace(TINY, seed=1), copy)
    assert contents(copy) == before


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, write = 0, Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls == 3:
            write(path, data[:99])
            raise OSError(28, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DataError, match="No space left"):
        build_zoo(TINY, tmp_path / "zoo")
    assert list(contents(tmp_path / "zoo")) == ["00000.safetensors", "00001.safetensors"]
    with pytest.raises(DataError, match="unfinished: 2 of 4"):
        open_zoo(tmp_path / "zoo")
    build_zoo(TINY, tmp_path / "zoo").verify()


def test_recipes_round_trip_and_bad_ones_are_refused(tmp_path: Path) -> None:
    for recipe in RECIPES.values():
        assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    with pytest.raises(DataError, match="zoo recipes"):
        get_recipe("nope")
    with pytest.raises(DataError, match="1,497 images"):
        build_zoo(dataclasses.replace(TINY, train=2000), tmp_path / "never")
    assert not (tmp_path / "never").exists()
    for bad in (
        {},
        {**TINY.to_dict(), "x": 1},
        {**TINY.to_dict(), "dataset": "../x"},
        {**TINY.to_dict(), "train": True},
    ):
        with pytest.raises(DataError):
            Recipe.from_dict(bad)


def test_waves_build(tmp_path: Path) -> None:
    recipe = dataclasses.replace(TINY, dataset="sine", train=2, val=1, test=1)
    zoo = build_zoo(recipe, tmp_path / "zoo")
    assert {"freq_0", "freq_1"} <= set(zoo.columns)
    assert isinstance(zoo.population(slice(None)), Population)


@pytest.mark.parametrize("change", [lambda t: t.flip(-1), lambda t: t * 1e30])
def test_grids_out_of_order_are_refused_when_kans_are_read(copy: Path, change) -> None:  # type: ignore[no-untyped-def]
    path, manifest = copy / "shards" / "00000.safetensors", json.loads((copy / "manifest.json").read_text())
    tensors = load_file(path)
    save_file({**tensors, "layers.1.knots": change(tensors["layers.1.knots"]).contiguous()}, path)
    manifest["shards"][0] |= {"sha256": sha256(path), "size": path.stat().st_size}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=r"layers\.1\.knots"):
        open_zoo(copy).population(slice(None))
