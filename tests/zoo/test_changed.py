"""Shards that others cut, change or remove while a zoo is open."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from wskan.errors import DataError
from wskan.kan import FitConfig, KANSpec
from wskan.zoo import Recipe, Zoo, build_zoo, open_zoo
from wskan.zoo.manifest import shard_path

TINY = Recipe(
    name="tiny",
    dataset="digits",
    spec=KANSpec(widths=(2, 4, 1), grid=3),
    fit=FitConfig(steps=5, batch_size=32),
    train=60,
    val=20,
    test=20,
    shard_size=40,
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    return build_zoo(TINY, tmp_path_factory.mktemp("zoos") / "zoo")


@pytest.fixture
def zoo(built: Zoo, tmp_path: Path) -> Zoo:
    return open_zoo(shutil.copytree(built.folder, tmp_path / "zoo"))


def cut(path: Path) -> None:
    os.truncate(path, 64)


def flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-5, os.SEEK_END)
        byte = file.read(1)
        file.seek(-5, os.SEEK_END)
        file.write(bytes([byte[0] ^ 1]))


def replace(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(path.read_bytes()[::-1])
    other.replace(path)


@pytest.mark.parametrize("change", [cut, flip, replace, Path.unlink])
def test_a_shard_that_was_changed_is_told_by_name(zoo: Zoo, change: Callable[[Path], None]) -> None:
    before = zoo.population(torch.arange(40))
    change(shard_path(zoo.folder, 1))
    for rows in (torch.tensor([0, 41]), slice(None)):
        with pytest.raises(DataError, match=r"00001\.safetensors: (has changed since|cannot be read any more)"):
            zoo.population(rows)
    again = zoo.population(torch.arange(40))  # of another shard
    assert torch.equal(before.layers[0].coef, again.layers[0].coef)


@pytest.mark.parametrize("change", [cut, flip])
def test_a_shard_that_is_changed_while_it_is_read_is_told(
    zoo: Zoo, change: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from wskan.zoo.shard_file import RowReader

    original, calls = RowReader.__call__, 0

    def meanwhile(reader: RowReader, tensor: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 3:
            change(shard_path(zoo.folder, 0))
        return original(reader, tensor)

    monkeypatch.setattr(RowReader, "__call__", meanwhile)
    with pytest.raises(
        DataError, match=r"00000\.safetensors: (has changed since|cannot be read any more \(cut short\))"
    ):
        zoo.population(torch.arange(10))


def test_rows_are_read_without_the_map(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a shard's tensors are indexed, its pages are touched, which a cut file ends the process for."""
    mapped = {tensor.data_ptr() for file in zoo._shards.files for tensor in file.tensors.values()}
    original = torch.Tensor.__getitem__

    def watched(tensor: torch.Tensor, index: object) -> torch.Tensor:
        assert tensor.data_ptr() not in mapped
        return original(tensor, index)  # type: ignore[arg-type]

    rows = torch.tensor([3, 4, 5, 99, 0, 0, 41])
    expected = zoo.population(slice(None))[rows]
    monkeypatch.setattr(torch.Tensor, "__getitem__", watched)
    found = zoo.population(rows)
    monkeypatch.undo()
    for one, other in zip(found.layers, expected.layers, strict=True):
        assert torch.equal(one.coef, other.coef)
        assert torch.equal(one.knots.expand_as(other.knots), other.knots)


RACE = """
import os, sys, threading, time, torch
from wskan.errors import DataError
from wskan.zoo import open_zoo
from wskan.zoo.manifest import shard_path
zoo = open_zoo(sys.argv[1])
threading.Timer(float(sys.argv[2]), os.truncate, (shard_path(zoo.folder, 1), 64)).start()
try:
    for _ in range(100_000):
        zoo.population(torch.randperm(100)[:32])
except DataError as error:
    print("told:", error)
"""


@pytest.mark.parametrize("delay", [0.1, 0.1037])
def test_a_cut_in_the_middle_of_reading_is_no_bus_error(zoo: Zoo, delay: float) -> None:
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(RACE), zoo.folder, str(delay)], capture_output=True, text=True
    )
    assert run.returncode == 0, run
    assert run.stdout.startswith("told:")


READ = """
import sys
from pathlib import Path
from wskan.errors import DataError
from wskan.zoo import build_zoo, open_zoo
from wskan.zoo.manifest import Manifest
folder = Path(sys.argv[1])
try:
    open_zoo(folder)
except DataError as error:
    print(error)
build_zoo(Manifest.read(folder).recipe, folder)
"""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
@pytest.mark.parametrize("plant", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "device"])
def test_a_shard_that_is_a_pipe_or_a_device_is_built_again(zoo: Zoo, plant: Callable[[Path], None]) -> None:
    path, manifest = shard_path(zoo.folder, 1), zoo.folder / "manifest.json"
    data = json.loads(manifest.read_text())
    data["shards"][1]["size"] = 0  # as the system says of both
    manifest.write_text(json.dumps(data))
    path.unlink()
    plant(path)
    command = [sys.executable, "-c", READ, str(zoo.folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert f"{path}: is not a regular file" in ended.stdout
    assert path.is_file()
    assert not path.is_symlink()
    assert open_zoo(zoo.folder).checksum == zoo.checksum


def test_a_manifest_cannot_ask_for_a_shard_of_any_size(zoo: Zoo) -> None:
    """Its checksum would be that of terabytes, in a file that takes no room."""
    manifest = zoo.folder / "manifest.json"
    data = json.loads(manifest.read_text())
    data["shards"][1]["size"] = 2**40
    manifest.write_text(json.dumps(data))
    with pytest.raises(DataError, match=r"shards\[1\]\.size must be a whole number from 0 to 1,\d{3},\d{3}, got"):
        open_zoo(zoo.folder)


def test_names_in_a_manifest_are_shown_on_one_line(zoo: Zoo) -> None:
    manifest = zoo.folder / "manifest.json"
    data = json.loads(manifest.read_text())
    data["built_with"]["two\nlines\0"] = 0
    manifest.write_text(json.dumps(data))
    with pytest.raises(DataError) as caught:
        open_zoo(zoo.folder)
    assert str(caught.value).isprintable()
