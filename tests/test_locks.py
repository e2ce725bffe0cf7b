"""One process at a time in a folder, with real processes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from wskan import locks
from wskan.align import align_zoo
from wskan.errors import DataError
from wskan.files import is_empty_folder
from wskan.kan import FitConfig, KANSpec
from wskan.locks import hold
from wskan.testing import FakeZoo
from wskan.zoo import Recipe, build_zoo, open_zoo
from wskan.zoo.manifest import Manifest

pytestmark = pytest.mark.skipif(locks.fcntl is None, reason="this system has no flock")
SLOW = Recipe(
    name="slow",
    dataset="digits",
    spec=KANSpec(widths=(2, 4, 1), grid=3),
    fit=FitConfig(steps=400, batch_size=32),
    train=30,
    val=5,
    test=5,
    shard_size=1,
)

HOLD = """
import sys, time
from pathlib import Path
from wskan.locks import hold
with hold(Path(sys.argv[1]), "a test is run"):
    print("held", flush=True)
    time.sleep(60)
"""
BUILD = """
import json, sys
from wskan.errors import DataError
from wskan.zoo import Recipe, build_zoo
try:
    build_zoo(Recipe.from_dict(json.loads(sys.argv[1])), sys.argv[2])
except DataError as error:
    print(error)
    sys.exit(2)
"""
TRAIN = """
import json, sys
from wskan.errors import DataError
from wskan.graph import FeatureConfig
from wskan.tasks import train
from wskan.testing import FakeZoo

zoo = FakeZoo((2, 4, 1))
options = dict(model="mlp", features=FeatureConfig(), hidden=8, epochs=int(sys.argv[2]), batch_size=8, device="cpu")
try:
    train(zoo, sys.argv[1], **options)
except DataError as error:
    print(error)
    sys.exit(2)
"""


def start(code: str, *args: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@contextlib.contextmanager
def held(folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = start(HOLD, folder)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_second_is_told_who_works_there(tmp_path: Path) -> None:
    with held(tmp_path / "new") as process:
        with pytest.raises(DataError) as caught, hold(tmp_path / "new", "a test is run", patience=0):
            pass
        text = str(caught.value)
        assert f"a test is run by process {process.pid} on " in text
        assert "wait for it to end" in text
        assert "\n" not in text
        assert is_empty_folder(tmp_path / "new")


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    with held(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (tmp_path / ".wskan.lock").exists()
        with hold(tmp_path, "a test is run", patience=0):
            assert json.loads((tmp_path / ".wskan.lock").read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_is_left_soon_is_waited_for(tmp_path: Path) -> None:
    with held(tmp_path) as process:
        begin = time.monotonic()
        threading.Timer(0.5, process.kill).start()
        with hold(tmp_path, "a test is run", patience=30):
            assert time.monotonic() - begin > 0.3


def test_a_folder_that_stays_empty_is_removed_again(tmp_path: Path) -> None:
    with hold(tmp_path / "new", "a test is run"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_planted_lock_is_not_followed(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "zoo" / ".wskan.lock"
    victim.write_text("mine")
    path.parent.mkdir()
    for plant in (
        lambda: path.symlink_to(victim),
        lambda: path.hardlink_to(victim),
        lambda: os.mkfifo(path),
        path.mkdir,
    ):
        plant()
        with pytest.raises(DataError, match=r"\.wskan\.lock is not a lock file"), hold(path.parent, "a test is run"):
            pass
        assert victim.read_text() == "mine"
        path.rmdir() if path.is_dir() else path.unlink()


def test_what_a_forged_lock_says_is_cut_and_plain(tmp_path: Path) -> None:
    with held(tmp_path):
        facts = dict.fromkeys(("pid", "host", "since", "what"), "\x1b[31m\n") | {"command": "\ud800ä" + "x" * 3000}
        (tmp_path / ".wskan.lock").write_text(json.dumps(facts))
        with pytest.raises(DataError) as caught, hold(tmp_path, "a test is run", patience=0):
            pass
    assert str(caught.value).removeprefix(str(tmp_path)).isprintable()
    assert len(str(caught.value)) < 1000


def test_a_folder_that_cannot_be_locked_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "fcntl", None)
    with pytest.warns(UserWarning, match="cannot be locked"), hold(tmp_path, "a test is run"):
        pass


def test_two_builders_in_one_folder(tmp_path: Path) -> None:
    whole, folder = build_zoo(SLOW, tmp_path / "whole"), tmp_path / "zoo"
    arguments = (BUILD, json.dumps(SLOW.to_dict()), folder)
    processes, most = [start(*arguments), start(*arguments)], 0
    while any(process.poll() is None for process in processes):
        with contextlib.suppress(DataError):
            now = len(Manifest.read(folder).shards)
            assert now >= most, "the manifest fell back"
            most = now
        time.sleep(0.002)
    outputs = [process.communicate()[0] for process in processes]
    assert 0 in [process.returncode for process in processes]
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0 or (process.returncode == 2 and "is in use: a zoo is built by process" in output)
    open_zoo(folder).verify()
    assert {path.name for path in folder.iterdir()} == {"manifest.json", "shards"}
    for path in (whole.folder / "shards").iterdir():
        assert (folder / "shards" / path.name).read_bytes() == path.read_bytes()
    assert len(list((folder / "shards").iterdir())) == SLOW.num_shards


def test_two_trainers_in_one_run(tmp_path: Path) -> None:
    processes = [start(TRAIN, tmp_path / "run", 150) for _ in range(2)]
    outputs = [process.communicate()[0] for process in processes]
    codes = sorted(process.returncode for process in processes)
    assert codes in ([0, 0], [0, 2])
    if codes == [0, 2]:
        assert any("is in use: a model is trained by process" in output for output in outputs)
    assert len(list((tmp_path / "run" / "logs").iterdir())) == 1
    assert json.loads((tmp_path / "run" / "run.json").read_text())["finished"]


def test_an_alignment_is_made_by_one(tmp_path: Path) -> None:
    zoo = FakeZoo((2, 4, 1), train=6, val=2, test=2)
    with held(tmp_path / "aligned"), pytest.raises(DataError, match="is in use"):
        align_zoo(zoo, tmp_path / "aligned")
    align_zoo(zoo, tmp_path / "aligned")
    with held(tmp_path / "aligned"):
        align_zoo(zoo, tmp_path / "aligned")  # what is finished is only read


def test_a_lock_left_in_a_finished_folder_is_removed(tmp_path: Path) -> None:
    """A process may be killed between its last file and the end of its lock."""
    zoo = FakeZoo((2, 4, 1), train=6, val=2, test=2)
    folders = {name: tmp_path / name for name in ("zoo", "run", "aligned")}

    def make() -> None:
        build_zoo(SLOW, folders["zoo"])
        align_zoo(zoo, folders["aligned"])
        process = start(TRAIN, folders["run"], 1)
        process.communicate()
        assert process.returncode == 0

    make()
    whole = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for folder in folders.values():
        (folder / ".wskan.lock").write_text("of a dead process")
    make()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == whole


def test_a_lock_that_is_held_or_not_one_stays_in_a_finished_folder(tmp_path: Path) -> None:
    zoo = FakeZoo((2, 4, 1), train=6, val=2, test=2)
    align_zoo(zoo, tmp_path)
    with held(tmp_path):
        align_zoo(zoo, tmp_path)
        assert (tmp_path / ".wskan.lock").exists()
    (tmp_path / ".wskan.lock").unlink()
    (tmp_path / ".wskan.lock").symlink_to(tmp_path / "elsewhere")
    align_zoo(zoo, tmp_path)
    assert (tmp_path / ".wskan.lock").is_symlink()
