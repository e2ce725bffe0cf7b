"""Training a model on a zoo, with Lightning."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import importlib.util
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.loggers import CSVLogger, Logger

from wskan.errors import DataError, DivergedError
from wskan.files import disk_error
from wskan.graph import FeatureConfig
from wskan.locks import hold, sweep
from wskan.memory import freed_memory_kept
from wskan.models import MetaNetwork, ModelConfig, build_model, save_model
from wskan.provenance import provenance
from wskan.tasks.augmentation import check_symmetries
from wskan.tasks.checkpoint import read_weights
from wskan.tasks.config import TrainConfig
from wskan.tasks.data import GraphDataset, graph_loader
from wskan.tasks.evaluation import evaluate, predict, predict_split, score
from wskan.tasks.module import ProgressBar, TrainingModule
from wskan.tasks.resume import Checkpoints, NoCheckpoints
from wskan.tasks.run import Run, finished_run, read_record, write_record
from wskan.tasks.task import Task
from wskan.zoo import SPLITS, Zoo

Device = Literal["auto", "cpu", "cuda"]


def train(
    zoo: Zoo,
    task: Task,
    model_config: ModelConfig,
    config: TrainConfig,
    folder: Path | str,
    *,
    features: FeatureConfig | None = None,
    train_limit: int | None = None,
    device: Device = "auto",
    progress: bool = False,
    tensorboard: bool = False,
) -> Run:
    """Train a model, or go on with a run that was interrupted, and score the best epoch's model once on the test split.

    What the task leaves open, as a threshold, is chosen on that model's validation outputs before.

    Args:
        zoo: training, validation and test KANs.
        task: what to predict.
        model_config: what to train.
        config: how.
        folder: where the run is kept. One of the same arguments is continued, or returned if it is finished.
        features: choice of features.
        train_limit: use only the first so many training KANs.
        device: ``"auto"`` takes a GPU if there is one.
        progress: show a progress bar.
        tensorboard: write TensorBoard logs as well (needs the extra ``track``).

    Raises:
        DataError: the folder holds another run, another process trains in it, the zoo does not fit the task, the features or
            the augmentation, the model was made for another task, or the disk is full.
        DivergedError: its loss, or the best epoch's answers, are not finite.
        ShapeError: the graphs of the zoo do not fit the model.
    """
    folder, features = Path(folder), features or FeatureConfig()
    task.check(zoo)
    task.check_model(model_config)
    features.check(zoo.spec)
    model_config.check_kans(zoo.spec, features)
    check_symmetries(config.augment, zoo.spec, features)
    if empty := [split for split in SPLITS if len(zoo.split(split)) == 0]:
        raise DataError(
            f"the zoo in {zoo.folder} has no {' and no '.join(empty)} KANs; training needs all three splits"
        )
    if device == "cuda" and not torch.cuda.is_available():
        raise DataError("no CUDA GPU can be used here; choose device cpu")
    asked = {
        "task": task.name,
        "model": model_config.to_dict(),
        "features": features.to_dict(),
        "train": config.to_dict(),
        "spec": zoo.spec.to_dict(),
        "zoo": zoo.digest,
        "train_limit": train_limit,
    }
    inside = ("checkpoints", "logs", "model", "tensorboard")
    if finished := finished_run(folder, asked):
        sweep(folder, *inside)
        return finished
    with hold(folder, "a model is trained", inside=inside):
        return finished_run(folder, asked) or _train(
            zoo, task, model_config, config, folder, features, train_limit, device, progress, tensorboard, asked
        )


def _train(
    zoo: Zoo,
    task: Task,
    model_config: ModelConfig,
    config: TrainConfig,
    folder: Path,
    features: FeatureConfig,
    train_limit: int | None,
    device: Device,
    progress: bool,
    tensorboard: bool,
    asked: dict[str, Any],
) -> Run:
    origin = provenance()
    place = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    L.seed_everything(config.seed, verbose=False)
    data = GraphDataset(zoo, "train", task, features, device=place, limit=train_limit, augment=config.augment)
    model = build_model(model_config)
    model.standardize.set(data.statistics(model=model))
    val = GraphDataset(zoo, "val", task, features, device=place)
    predict(model.to(place), [data[[0]]])  # what does not fit is told before the folder is taken
    if read_record(folder) is None:
        write_record(folder, {"finished": False, "asked": asked})
    try:
        facts = _fit(model, task, config, folder, data, val, place, progress, tensorboard)
        gc.collect()  # Lightning's cycles hold the data sets, gigabytes that Python does not see
        output, target = predict_split(model, val)
        if not bool(output.isfinite().all()):
            raise DivergedError(
                f"training in {folder} diverged: its best epoch's answers are not finite; delete the folder and lower the learning rate ({config.lr:g})"
            )
    except DivergedError:
        write_record(folder, {"finished": False, "diverged": True, "asked": asked})
        raise
    task = task.calibrated(task.decode(output), target)
    scores = {"val": score(task, output, target), "test": evaluate(model, zoo, task, features, device=place)}
    save_model(model, folder / "model")
    counts = {split: len(zoo.split(split)) for split in ("val", "test")}
    record = {
        "finished": True,
        "asked": asked,
        "calibration": dataclasses.asdict(task),
        **scores,
        **facts,
        "parameters": model.num_parameters,
        "aligned": zoo.aligned,
        "recipe": zoo.recipe.to_dict(),
        "counts": {"train": len(data), **counts},
        **origin,
    }
    write_record(folder, record)
    return Run(folder=folder, model=model.to("cpu").eval(), task=task, features=features, record=record)


def _fit(
    model: MetaNetwork,
    task: Task,
    config: TrainConfig,
    folder: Path,
    data: GraphDataset,
    val: GraphDataset,
    device: str,
    progress: bool,
    tensorboard: bool,
) -> dict[str, Any]:
    """Train ``model`` in place, to the weights of its best epoch."""
    batches, place = graph_loader(data, config.batch_size, shuffle_seed=config.seed), folder / "checkpoints"
    module = TrainingModule(model, task, config, steps=config.epochs * len(batches))
    checkpoints = Checkpoints(place, module, len(batches))
    with _quiet_lightning():
        trainer = L.Trainer(
            accelerator="gpu" if device == "cuda" else device,
            devices=1,
            max_epochs=config.epochs,
            precision="bf16-mixed" if config.precision == "bf16" else "32-true",
            gradient_clip_val=config.gradient_clip,
            callbacks=[*checkpoints.callbacks, *([ProgressBar(leave=False)] if progress else [])],
            logger=_loggers(folder, tensorboard),
            plugins=[NoCheckpoints()],
            default_root_dir=place,
            enable_progress_bar=progress,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
        )
        try:
            with freed_memory_kept():
                trainer.fit(module, batches, graph_loader(val, config.batch_size))
        except SystemExit:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from None
        except OSError as error:
            raise disk_error(folder, error) from error
    module.load_state_dict(read_weights(checkpoints.best_path, module))
    return {"epochs": trainer.current_epoch, "train_seconds": round(checkpoints.clock.seconds, 1)}


def _loggers(folder: Path, tensorboard: bool) -> list[Logger]:
    loggers: list[Logger] = [CSVLogger(folder, name="logs")]  # each continuation writes a log of its own
    if tensorboard:
        if importlib.util.find_spec("tensorboard") is None:
            raise DataError("TensorBoard logs need: pip install 'wskan[track]'")
        from lightning.pytorch.loggers import TensorBoardLogger

        loggers.append(TensorBoardLogger(folder, name="", version="tensorboard"))
    return loggers


@contextlib.contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Without Lightning's advice on worker processes and checkpoints, which does not apply here."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for message in (
            ".*does not have many workers.*",
            ".*exists and is not empty.*",
            ".*mid-epoch.*",
            ".*LeafSpec.*",
            ".*Experiment logs directory.*",
        ):
            warnings.filterwarnings("ignore", message)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
