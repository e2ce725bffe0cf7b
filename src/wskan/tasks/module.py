"""Lightning classes for training: steps, optimiser, logs and the progress bar."""

from __future__ import annotations

import time

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, RichProgressBar
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from wskan.graph import KANGraph
from wskan.models import MetaNetwork
from wskan.tasks.config import TrainConfig
from wskan.tasks.output import flatten_output
from wskan.tasks.task import Task

Batch = tuple[KANGraph, Tensor]


class TrainingModule(L.LightningModule):
    """A model in training: its steps, its optimiser and its metrics.

    Args:
        model: model to train.
        task: task that defines loss and metrics.
        config: configuration of the optimiser.
        steps: number of steps after which the learning rate reaches zero.
    """

    def __init__(self, model: MetaNetwork, task: Task, config: TrainConfig, steps: int) -> None:
        super().__init__()
        self.model, self.task, self.config, self.steps = model, task, config, steps
        self.train_metrics, self.val_metrics = task.training_metrics().clone("train_"), task.metrics().clone("val_")
        # only training is compiled, because all of its batches have the same shape
        self.step = torch.compile(model.forward, dynamic=False) if config.compile else model.forward

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Compute the loss of a batch, and log it with the metrics."""
        if index == 0:  # dropout depends on seed and epoch only: a resumed run equals an uninterrupted one
            torch.manual_seed((self.config.seed << 20) + self.current_epoch)
        graph, target = batch
        output = flatten_output(self.step(graph))
        loss = self.task.loss(output, target)
        self.train_metrics.update(self.task.decode(output.detach()), target)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(target))
        self.log_dict(self.train_metrics, on_step=False, on_epoch=True, batch_size=len(target))
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        """Log loss and metrics of a batch."""
        graph, target = batch
        output = flatten_output(self.model(graph))
        self.val_metrics.update(self.task.decode(output), target)
        self.log("val_loss", self.task.loss(output, target), batch_size=len(target))
        self.log_dict(self.val_metrics, batch_size=len(target), prog_bar=True)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Make AdamW and its schedule: linear warm-up, then linearly to zero (paper, appendix C)."""
        config = self.config
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
        warmup = min(config.warmup_steps, self.steps // 2)

        def rate(step: int) -> float:
            return (step + 1) / (warmup + 1) if step < warmup else max(0.0, (self.steps - step) / (self.steps - warmup))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Clock(Callback):
    """The training time of a run in seconds, including the time before it was resumed."""

    def __init__(self) -> None:
        self.before, self.begin = 0.0, time.perf_counter()

    @property
    def seconds(self) -> float:
        """Training time so far."""
        return self.before + time.perf_counter() - self.begin

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        self.begin = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the time next to the learning curve."""
        pl_module.log("seconds", self.seconds)


class ProgressBar(RichProgressBar):
    """A progress bar without the number of the log, which users do not need."""

    def get_metrics(
        self, trainer: L.Trainer, pl_module: L.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Return the metrics shown next to the bar."""
        return {name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"}
