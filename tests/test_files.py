"""Writers: nothing that existed is lost, nothing is written through links, nothing of others is removed."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wskan import files
from wskan.align import align_zoo
from wskan.errors import DataError
from wskan.files import disk_error, is_empty_folder, plainly, remove_litter, write_atomically
from wskan.graph import FeatureConfig
from wskan.kan import FitConfig, KANSpec
from wskan.models import FlatMLP, FlatMLPConfig, load_model, save_model
from wskan.tasks import TrainConfig, get_task, train
from wskan.testing import FakeZoo
from wskan.zoo import Recipe, build_zoo

TINY = Recipe(
    name="tiny",
    dataset="digits",
    spec=KANSpec(widths=(2, 3, 1), grid=3),
    fit=FitConfig(steps=5, batch_size=32),
    train=4,
    val=2,
    test=2,
    shard_size=4,
)


def temporary(folder: Path, pid: int, machine: str | None = None) -> Path:
    path = folder / f".a.wskan-{machine or files._machine()}-{pid}-{'0' * 16}.tmp"
    path.write_text("half")
    return path


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_planted_link_in_the_place_of_a_temporary_file_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / f".a.json.{os.getpid()}.tmp").symlink_to(victim)  # the name that it once had
    write_atomically(tmp_path / "zoo" / "a.json", lambda path: path.write_text("new"))
    assert victim.read_text() == "mine"
    assert (tmp_path / "zoo" / "a.json").read_text() == "new"


def test_temporary_files_are_new_ones_of_names_that_nobody_can_guess(tmp_path: Path) -> None:
    names = []

    def write(path: Path) -> None:
        assert path.stat().st_size == 0
        names.append(path.name)
        path.write_text("x")

    for _ in range(2):
        write_atomically(tmp_path / "a", write)
    assert len(set(names)) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_link_is_replaced_and_its_target_stays(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "folder" / "a"
    victim.write_text("mine")
    path.parent.mkdir()
    path.symlink_to(victim)
    write_atomically(path, lambda to: to.write_text("new"))
    assert not path.is_symlink()
    assert (victim.read_text(), path.read_text()) == ("mine", "new")


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def full(to: Path) -> None:
        to.write_text("ha")
        raise OSError(errno.ENOSPC, "No space left on device", str(to))

    with pytest.raises(DataError, match=r"^could not write .*/a: No space left on device; make room") as caught:
        write_atomically(path, full)
    assert "Errno" not in str(caught.value)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("a", "old")]


def test_only_litter_of_dead_processes_and_of_ones_own_is_removed(tmp_path: Path) -> None:
    dead = dead_process()
    gone = temporary(tmp_path, dead)
    elsewhere = temporary(tmp_path, dead, "0123abcd")  # its process may well live
    alive = temporary(tmp_path, os.getppid())
    foreign = [tmp_path / name for name in (".notes.tmp", f".a.{dead}.tmp", "thesis.tex", f".a.wskan-{dead}.tmp")]
    for path in foreign:
        path.write_text("mine")
    folder, link = (tmp_path / f".{n}.wskan-{files._machine()}-{dead}-{'1' * 16}.tmp" for n in "xy")
    folder.mkdir()
    link.symlink_to(foreign[0])
    remove_litter(tmp_path)
    assert not gone.exists()
    assert all(path.exists() for path in (elsewhere, alive, *foreign, folder))
    assert link.is_symlink()
    past = time.time() - 7200
    os.utime(elsewhere, (past, past))
    remove_litter(tmp_path)
    assert not elsewhere.exists()
    assert alive.exists()


def test_a_folder_of_litter_is_is_empty_folder(tmp_path: Path) -> None:
    temporary(tmp_path, 1)
    (tmp_path / ".wskan.lock").touch()
    (tmp_path / ".manifest.json.99.tmp").touch()
    assert is_empty_folder(tmp_path)
    (tmp_path / ".notes.tmp").touch()
    assert not is_empty_folder(tmp_path)


def test_a_zoo_is_not_built_through_a_link(tmp_path: Path) -> None:
    whole = build_zoo(TINY, tmp_path / "zoo")
    outside = tmp_path / "outside"
    (whole.folder / "shards").rename(outside)
    (whole.folder / "shards").symlink_to(outside)
    (outside / "00000.safetensors").write_bytes(b"mine")
    precious = outside / f".x.{dead_process()}.tmp"
    precious.write_text("mine")
    with pytest.raises(DataError, match="shards is a link"):
        build_zoo(TINY, whole.folder)
    assert ((outside / "00000.safetensors").read_bytes(), precious.read_text()) == (b"mine", "mine")


def test_a_folder_that_is_named_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "zoo").symlink_to(tmp_path / "disk")
    build_zoo(TINY, tmp_path / "zoo").verify()
    assert sorted(path.name for path in (tmp_path / "disk").iterdir()) == ["manifest.json", "shards"]


def test_a_model_is_not_saved_through_links(tmp_path: Path) -> None:
    model = FlatMLP(FlatMLPConfig(widths=(2, 3, 1), edge_dim=4, out_dim=2, hidden=4))
    victim = tmp_path / "victim"
    victim.write_text("mine")
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / name).symlink_to(victim)
    (folder / "README.md").symlink_to(tmp_path / "created")
    save_model(model, folder)
    load_model(folder)
    assert victim.read_text() == "mine"
    assert not (tmp_path / "created").exists()
    assert not any(path.is_symlink() for path in folder.iterdir())


@pytest.mark.parametrize("name", ["checkpoints", "logs", "model", "tensorboard"])
def test_a_run_is_not_trained_through_a_link(tmp_path: Path, name: str) -> None:
    zoo, task, features = FakeZoo((2, 4, 1)), get_task("inr-classification"), FeatureConfig()
    config = FlatMLPConfig(
        widths=zoo.spec.widths,
        edge_dim=features.edge_dim(zoo.spec),
        node_dim=features.node_dim(zoo.spec),
        bias_dim=features.bias_dim,
        out_dim=task.out_dim,
        hidden=4,
    )
    training = TrainConfig(epochs=1, batch_size=30)
    outside, folder = tmp_path / "outside", tmp_path / "run"
    outside.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wskan.tasks.training.fit", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(zoo, folder, task=task, model=config, config=training, features=features, device="cpu")
    (folder / name).symlink_to(outside)
    with pytest.raises(DataError, match=f"{name} is a link"):
        train(zoo, folder, task=task, model=config, config=training, features=features, device="cpu")
    assert list(outside.iterdir()) == []


def _interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_full_disk_keeps_a_model_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model(FlatMLP(FlatMLPConfig(widths=(2, 3, 1), edge_dim=4, out_dim=2, hidden=4)), tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DataError, match="could not write"):
        save_model(FlatMLP(FlatMLPConfig(widths=(2, 3, 1), edge_dim=4, out_dim=2, hidden=4)), tmp_path)
    load_model(tmp_path)


def test_a_link_in_an_alignment_is_replaced(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "aligned").mkdir()
    (tmp_path / "aligned" / "alignment.safetensors").symlink_to(victim)
    align_zoo(FakeZoo((2, 4, 1), train=6, val=2, test=2), tmp_path / "aligned")
    assert victim.read_text() == "mine"


def test_a_full_temporary_folder_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = Path("/dev/shm")
    if not temporary.is_dir() or temporary.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second filesystem")
    monkeypatch.setattr(files.tempfile, "gettempdir", lambda: str(temporary))
    full = OSError(errno.ENOSPC, "No space left on device")
    room = {temporary: 0, tmp_path: 10**9}
    monkeypatch.setattr(files.shutil, "disk_usage", lambda place: type("", (), {"free": room[place]}))
    assert "temporary folder /dev/shm is full" in str(disk_error(tmp_path, full))
    assert "TMPDIR" in str(disk_error(tmp_path, full))
    room[temporary], room[tmp_path] = 10**9, 0
    assert str(disk_error(tmp_path, full)).startswith(f"could not write {tmp_path}: No space left on device")
    named = OSError(errno.ENOSPC, "No space left on device", "/dev/shm/x")
    assert "temporary folder /dev/shm is full" in str(disk_error(tmp_path, named))


def test_errors_of_the_system_are_told_without_numbers() -> None:
    for error in (
        OSError(errno.EROFS, "Read-only file system", "/x/y"),
        OSError(errno.ENOENT, "No such file", "a", 0, "b"),
        OSError(errno.ENOSPC, "No space left on device"),
        FileNotFoundError(2, "No usable temporary directory found in ['/tmp']"),
        OSError("odd"),
    ):
        assert "Errno" not in plainly(error)
        assert "\n" not in plainly(error)
    assert plainly(OSError(errno.EROFS, "Read-only file system", "/x/y")) == "/x/y: Read-only file system"
