"""Runs that are killed, whose disk is full, or whose loss turns NaN."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from interrupted import EPOCHS, go_on, last, load, weights
from torch import Tensor

from wskan import files
from wskan.cli import main
from wskan.errors import DataError, DivergedError
from wskan.tasks import TrainConfig
from wskan.tasks.module import TrainingModule
from wskan.zoo import Zoo

KILLED = """
import os, signal, sys, tempfile
from pathlib import Path
from interrupted import go_on, small_zoo
kills, folder = int(sys.argv[1]), Path(sys.argv[2])
assert str(tempfile.gettempdir()) == sys.argv[3]

def train(at):
    write, count = Path.write_bytes, 0
    def half(self, data):
        nonlocal count
        count += ".ckpt" in self.name
        if count == at and ".ckpt" in self.name:
            write(self, bytes(data)[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return write(self, data)
    Path.write_bytes = half
    go_on(small_zoo(), folder)

for kill in range(kills + 1):
    at = (1, 2, 1)[kill % 3] if kill < kills else 0
    if not (child := os.fork()):
        train(at)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status == (signal.SIGKILL if at else 0), status
"""


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_kills_inside_a_write_change_nothing(kills: int, whole: bytes, tmp_path: Path) -> None:
    elsewhere = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else tmp_path  # another filesystem
    search = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(kills), str(tmp_path / "run"), str(elsewhere)]
    before = sorted(elsewhere.glob("tmp*"))
    subprocess.run(command, check=True, env={**os.environ, "TMPDIR": str(elsewhere), "PYTHONPATH": search})
    assert weights(tmp_path / "run") == whole
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    assert sorted(elsewhere.glob("tmp*")) == before


@pytest.mark.parametrize("name", ["best", "last"])
def test_a_full_disk_keeps_what_existed(
    zoo: Zoo, run: Path, whole: bytes, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = load(run)
    content["callbacks"]["wskan"]["best_model_score"] = -1.0
    torch.save(content, last(run))
    before = {path.name: path.read_bytes() for path in (run / "checkpoints").iterdir()}
    write = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if f"{name}.ckpt" in self.name:
            write(self, data[: len(data) // 2])
            raise OSError(28, "No space left on device")
        return write(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(DataError, match=r"^could not write .*No space left.*run the same command again[^\n]*$"):
            go_on(zoo, run)
    after = {path.name: path.read_bytes() for path in (run / "checkpoints").iterdir()}
    assert after["last.ckpt"] == before["last.ckpt"]
    assert name == "last" or after == before
    assert go_on(zoo, run).record["epochs"] == EPOCHS


def test_what_killed_writes_left_is_removed_and_links_are_refused(zoo: Zoo, run: Path, tmp_path: Path) -> None:
    name = f".last.ckpt.wskan-{files._machine()}-999999999-{'0' * 16}.tmp"  # of a process that is dead
    litter, other = run / "checkpoints" / name, run / "checkpoints" / ".notes.tmp"
    litter.write_bytes(b"half")
    other.write_text("mine")
    elsewhere = (run / "checkpoints").rename(tmp_path / "elsewhere")
    (run / "checkpoints").symlink_to(elsewhere)
    with pytest.raises(DataError, match="is a link, and nothing is written through it"):
        go_on(zoo, run)
    assert (elsewhere / litter.name).exists()
    (run / "checkpoints").unlink()
    elsewhere.rename(run / "checkpoints")
    go_on(zoo, run)
    assert (litter.exists(), other.exists()) == (False, True)


def test_a_run_killed_after_it_stopped_early_trains_no_further(
    zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig(epochs=30, batch_size=16, patience=1, lr=1e-7)
    whole = go_on(zoo, tmp_path / "whole", config)
    assert whole.record["epochs"] < 30

    def killed(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("wskan.tasks.training.save_model", killed)
        with pytest.raises(RuntimeError, match="killed"):
            go_on(zoo, tmp_path / "cut", config)
    assert go_on(zoo, tmp_path / "cut", config).record["epochs"] == whole.record["epochs"]
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def test_a_loss_that_turns_nan_after_a_good_epoch_is_told(
    zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    step = TrainingModule.training_step

    def broken(self: TrainingModule, batch: Any, index: int) -> Tensor:
        loss = step(self, batch, index)
        if self.current_epoch == 2:
            loss = loss * float("nan")
            self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=1)
        return loss

    monkeypatch.setattr(TrainingModule, "training_step", broken)
    for _ in range(2):
        with pytest.raises(DivergedError, match=r"the loss of epoch 3 is not finite; .*lower the learning rate"):
            go_on(zoo, tmp_path / "run")
    monkeypatch.setattr("wskan.zoo.open_zoo", lambda *_, **__: zoo)
    with pytest.raises(SystemExit) as stop:
        main(
            [
                "train",
                "zoo",
                str(tmp_path / "cli"),
                "--hidden",
                "8",
                "--layers",
                "1",
                "--epochs",
                "4",
                "--batch-size",
                "16",
            ]
        )
    assert stop.value.code == 2
    assert "diverged" in capsys.readouterr().err


def test_checkpoints_of_a_cluster_are_not_read(
    zoo: Zoo, run: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_NTASKS", "1")
    monkeypatch.setenv("SLURM_JOB_NAME", "train")
    monkeypatch.chdir(run.parent)
    ours, theirs = run / "checkpoints" / "hpc_ckpt_1.ckpt", run.parent / "hpc_ckpt_1.ckpt"
    for path in (ours, theirs):
        torch.save(load(run), path)
    with pytest.raises(DataError, match=r"hpc_ckpt_1\.ckpt: not a checkpoint of wskan;"):
        go_on(zoo, run)
    ours.unlink()
    assert weights(go_on(zoo, run).folder) == whole
