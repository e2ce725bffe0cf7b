"""Fitting a model to a data set with Lightning, from its last checkpoint if there is one."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.loggers import CSVLogger, Logger

from wskan.errors import DataError
from wskan.files import disk_error
from wskan.models import MetaNetwork
from wskan.runtime import retain_freed_memory
from wskan.tasks.checkpoint import read_weights
from wskan.tasks.config import TrainConfig
from wskan.tasks.data import GraphDataset, graph_loader
from wskan.tasks.module import ProgressBar, TrainingModule
from wskan.tasks.resume import Checkpoints, NoCheckpoints

NOISE = (
    ".*does not have many workers.*",
    ".*exists and is not empty.*",
    ".*mid-epoch.*",
    ".*LeafSpec.*",
    ".*Experiment logs directory.*",
)
"""Warnings of Lightning that do not apply here, about worker processes and checkpoints."""


def fit(
    model: MetaNetwork,
    data: GraphDataset,
    val: GraphDataset,
    config: TrainConfig,
    folder: Path,
    *,
    progress: bool = False,
    tensorboard: bool = False,
) -> dict[str, Any]:
    """Train a model in place, to the weights of its best epoch on the validation split.

    Args:
        model: model to train.
        data: training split, on the device to train on.
        val: validation split.
        config: configuration of the training.
        folder: folder of the run, for checkpoints and logs.
        progress: show a progress bar.
        tensorboard: write TensorBoard logs as well.

    Returns:
        ``epochs`` and ``train_seconds`` for the record of the run.

    Raises:
        DataError: a checkpoint is not of this run, the disk is full, or TensorBoard is missing.
        DivergedError: the loss is not finite.
    """
    batches = graph_loader(data, config.batch_size, shuffle_seed=config.seed)
    module = TrainingModule(model, data.task, config, steps=config.epochs * len(batches))
    checkpoints = Checkpoints(folder / "checkpoints", module, len(batches))
    with _quiet_lightning():
        trainer = L.Trainer(
            accelerator="gpu" if data.device.type == "cuda" else data.device.type,
            devices=1,
            max_epochs=config.epochs,
            precision="bf16-mixed" if config.precision == "bf16" else "32-true",
            gradient_clip_val=config.gradient_clip,
            callbacks=[*checkpoints.callbacks, *([ProgressBar(leave=False)] if progress else [])],
            logger=_loggers(folder, tensorboard),
            plugins=[NoCheckpoints()],
            default_root_dir=folder / "checkpoints",
            enable_progress_bar=progress,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
        )
        try:
            with retain_freed_memory():
                trainer.fit(module, batches, graph_loader(val, config.batch_size))
        except SystemExit:  # Lightning turns Ctrl-C into this
            raise KeyboardInterrupt from None
        except OSError as error:
            raise disk_error(folder, error) from error
    module.load_state_dict(read_weights(checkpoints.best_path, module))
    return {"epochs": trainer.current_epoch, "train_seconds": round(checkpoints.clock.seconds, 1)}


def _loggers(folder: Path, tensorboard: bool) -> list[Logger]:
    loggers: list[Logger] = [CSVLogger(folder, name="logs")]  # a resumed run begins a new log
    if tensorboard:
        if importlib.util.find_spec("tensorboard") is None:
            raise DataError("TensorBoard logs need: pip install 'wskan[track]'")
        from lightning.pytorch.loggers import TensorBoardLogger

        loggers.append(TensorBoardLogger(folder, name="", version="tensorboard"))
    return loggers


@contextlib.contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence :data:`NOISE` and Lightning's messages below errors."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for message in NOISE:
            warnings.filterwarnings("ignore", message)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
