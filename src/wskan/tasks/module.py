"""The Lightning side of training: steps, optimiser, logs."""

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
    """A model, a task and an optimiser.

    Args:
        model: what is trained.
        task: gives loss and metrics.
        config: gives the optimiser.
        steps: number of steps that the linear schedule is laid out for.
    """

    def __init__(self, model: MetaNetwork, task: Task, config: TrainConfig, steps: int) -> None:
        super().__init__()
        self.model, self.task, self.config, self.steps = model, task, config, steps
        self.train_metrics, self.val_metrics = task.training_metrics().clone("train_"), task.metrics().clone("val_")
        self.step = (
            torch.compile(model.forward, dynamic=False) if config.compile else model.forward
        )  # training only: its batches have one shape

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Loss of a batch."""
        if (
            index == 0
        ):  # dropout depends on (seed, epoch) alone, so that a run that goes on ends as if it had never stopped
            torch.manual_seed((self.config.seed << 20) + self.current_epoch)
        graph, target = batch
        output = flatten_output(self.step(graph))
        loss = self.task.loss(output, target)
        self.train_metrics.update(self.task.decode(output.detach()), target)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(target))
        self.log_dict(self.train_metrics, on_step=False, on_epoch=True, batch_size=len(target))
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        """Metrics of a batch."""
        graph, target = batch
        output = flatten_output(self.model(graph))
        self.val_metrics.update(self.task.decode(output), target)
        self.log("val_loss", self.task.loss(output, target), batch_size=len(target))
        self.log_dict(self.val_metrics, batch_size=len(target), prog_bar=True)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW; warm-up, then linearly to zero (paper, appendix C)."""
        config = self.config
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
        warmup = min(config.warmup_steps, self.steps // 2)

        def rate(step: int) -> float:
            return (step + 1) / (warmup + 1) if step < warmup else max(0.0, (self.steps - step) / (self.steps - warmup))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Clock(Callback):
    """Seconds spent training, over all continuations of a run."""

    def __init__(self) -> None:
        self.before, self.begin = 0.0, time.perf_counter()

    @property
    def seconds(self) -> float:
        """So far."""
        return self.before + time.perf_counter() - self.begin

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin to count."""
        self.begin = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Put the time into the log, beside the learning curve."""
        pl_module.log("seconds", self.seconds)


class ProgressBar(RichProgressBar):
    """Without the number of the log, which tells nobody anything."""

    def get_metrics(
        self, trainer: L.Trainer, pl_module: L.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """What is shown beside the bar."""
        return {name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"}
