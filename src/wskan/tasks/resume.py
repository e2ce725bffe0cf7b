"""Resuming a run: checkpoints of its best and its last epoch, and a start after the last."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NoReturn

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, Checkpoint, EarlyStopping
from lightning.pytorch.plugins import TorchCheckpointIO

from wskan.errors import DataError, DivergedError
from wskan.tasks.checkpoint import read_last, read_weights, write_last, write_weights
from wskan.tasks.module import Clock, TrainingModule


class Checkpoints(Checkpoint):
    """A callback that writes ``best.ckpt`` and ``last.ckpt`` after each epoch, and resumes from ``last.ckpt``.

    Lightning's own callback is not used, because it reads from a checkpoint the paths of files that it will remove. A
    checkpoint of this callback contains the number of finished epochs. The states of Lightning's loops, of the schedule
    and of the other callbacks follow from that.

    Args:
        folder: folder of the checkpoints.
        module: module to train.
        batches: steps per epoch.

    Raises:
        DataError: the folder contains a checkpoint that is not of this run.
    """

    def __init__(self, folder: Path, module: TrainingModule, batches: int) -> None:
        self.best_path, self.last_path = folder / "best.ckpt", folder / "last.ckpt"
        config, task, self.batches = module.config, module.task, batches
        self.monitor, self.sign = f"val_{task.monitor}", 1.0 if task.mode == "max" else -1.0
        self.clock, self.best = Clock(), math.nan
        self.stopping = (
            EarlyStopping(self.monitor, mode=task.mode, patience=config.patience) if config.patience else None
        )
        self.start = None
        if self.last_path.exists():
            self.start = read_last(self.last_path, module, epochs=config.epochs, batches=batches)
            read_weights(self.best_path, module)  # raises now, not after the last epoch

    @property
    def callbacks(self) -> list[Callback]:
        """This callback and those whose state it keeps."""
        return [self.clock, *([self.stopping] if self.stopping else []), self]

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Restore the state after the last epoch."""
        if self.start is None:
            return
        start, steps = self.start, self.start.epochs * self.batches
        pl_module.load_state_dict(start.weights)
        self.best, self.clock.before = start.best, start.seconds
        self._set_optimizer(trainer, steps)
        epochs: Any = trainer.fit_loop.epoch_progress.current
        epochs.ready = epochs.started = epochs.processed = epochs.completed = start.epochs
        loop = trainer.fit_loop.epoch_loop
        taken = loop.automatic_optimization.optim_progress.optimizer.step.total
        taken.ready = taken.completed = loop._batches_that_stepped = steps
        if self.stopping:
            self.stopping.best_score = torch.tensor(start.best, dtype=torch.float64)
            self.stopping.wait_count = start.waited
            trainer.should_stop = start.waited >= self.stopping.patience  # killed after its last epoch
        self.start = None

    def _set_optimizer(self, trainer: L.Trainer, steps: int) -> None:
        """Take the moments from the file and the learning rates from the schedule."""
        assert self.start is not None
        optimizer = trainer.optimizers[0]
        schedule: Any = trainer.lr_scheduler_configs[0].scheduler
        groups = optimizer.state_dict()["param_groups"]
        rates = [base * rate(steps) for base, rate in zip(schedule.base_lrs, schedule.lr_lambdas, strict=True)]
        optimizer.load_state_dict({"state": self.start.moments, "param_groups": groups})
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        schedule.last_epoch, schedule._step_count, schedule._last_lr = steps, steps + 1, rates

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the checkpoints of the epoch.

        Raises:
            DivergedError: the loss of the epoch is not finite.
            DataError: the disk is full.
        """
        assert isinstance(pl_module, TrainingModule)
        scores = {name: float(trainer.callback_metrics[name]) for name in ("train_loss", "val_loss", self.monitor)}
        if not math.isfinite(scores["train_loss"]) or math.isnan(scores["val_loss"]):
            raise DivergedError(
                f"training in {self.best_path.parent.parent} diverged: "
                f"the loss of epoch {trainer.current_epoch + 1} is not finite; "
                f"delete the folder and lower the learning rate ({pl_module.config.lr:g})"
            )
        score = scores[self.monitor]
        if math.isnan(self.best) or self.sign * score > self.sign * self.best:
            self.best = score
            write_weights(self.best_path, pl_module)
        waited = self.stopping.wait_count if self.stopping else 0
        progress = {"best_model_score": self.best, "wait_count": waited, "seconds": self.clock.seconds}
        write_last(self.last_path, pl_module, trainer.optimizers[0], trainer.current_epoch, progress)


class NoCheckpoints(TorchCheckpointIO):
    """A plugin that keeps Lightning from reading checkpoints by itself, as it would on a cluster with SLURM."""

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise.

        Raises:
            DataError: always.
        """
        raise DataError(f"{path}: not a checkpoint of wskan; move it elsewhere and run the same command again")
