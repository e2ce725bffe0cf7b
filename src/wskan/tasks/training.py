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
from wskan.locks import hold
from wskan.models import MetaNetwork, ModelConfig, build_model, save_model
from wskan.provenance import provenance
from wskan.runtime import random_state, retain_freed_memory
from wskan.tasks.augmentation import check_symmetries
from wskan.tasks.checkpoint import read_weights
from wskan.tasks.config import TrainConfig
from wskan.tasks.configure import default_features, model_config, split_options
from wskan.tasks.data import GraphDataset, graph_loader
from wskan.tasks.evaluation import evaluate, predict, predict_split, score
from wskan.tasks.module import ProgressBar, TrainingModule
from wskan.tasks.record import read_record, write_record
from wskan.tasks.registry import get_task
from wskan.tasks.resume import Checkpoints, NoCheckpoints
from wskan.tasks.run import Run, finished_run
from wskan.tasks.task import Task
from wskan.zoo import SPLITS, Zoo, open_zoo

Device = Literal["auto", "cpu", "cuda"]


def train(
    zoo: Zoo | Path | str,
    folder: Path | str,
    *,
    task: Task | str = "auto",
    model: ModelConfig | str = "ws_kan",
    features: FeatureConfig | None = None,
    config: TrainConfig | None = None,
    train_limit: int | None = None,
    device: Device = "auto",
    progress: bool = False,
    tensorboard: bool = False,
    **options: Any,
) -> Run:
    """Train a model on a zoo, or resume a run that was interrupted, and score its best epoch once on the test split.

    What the task leaves open, such as a threshold, is chosen on the model's validation outputs before. The caller's
    random state stays as it is.

    Args:
        zoo: training, validation and test KANs, or the folder of a zoo.
        folder: where the run is kept. A run of the same arguments is resumed, or returned if it is finished.
        task: what to predict, or its name; ``"auto"`` takes the first task whose targets the zoo contains.
        model: name in :data:`wskan.models.MODELS`, or a configuration.
        features: what describes a KAN; None chooses with :func:`wskan.tasks.default_features`.
        config: how to train; None for ``TrainConfig()``.
        train_limit: use only the first training KANs, this many.
        device: ``"auto"`` takes a GPU if there is one.
        progress: show a progress bar.
        tensorboard: write TensorBoard logs as well (needs the extra ``track``).
        options: fields of :class:`TrainConfig` (``epochs``, ``lr``, ``batch_size``, ...), which replace those of
            ``config``, and of the model's configuration if ``model`` is a name (``hidden``, ``num_layers``, ...).

    Raises:
        DataError: the folder holds another run, another process trains in it, the zoo does not fit the task, the
            features or the augmentation, the model was made for another task, or the disk is full.
        DivergedError: the loss, or an output of the best epoch, is not finite.
        ShapeError: the graphs of the zoo do not fit the model.

    Example:
        >>> import wskan
        >>> zoo = wskan.build_zoo("digits-inr", "zoos/digits")  # doctest: +SKIP
        >>> run = wskan.train(zoo, "runs/digits", hidden=64, epochs=40, batch_size=32, lr=2e-3)  # doctest: +SKIP
        >>> run.record["test"]["accuracy"]  # doctest: +SKIP
        97.7
    """
    zoo = open_zoo(zoo) if isinstance(zoo, Path | str) else zoo
    task = get_task(task, zoo) if isinstance(task, str) else task
    training, own = split_options(options)
    features = features or default_features(model, zoo.spec, own)
    if isinstance(model, str):
        model = model_config(model, zoo.spec, task, features, **own)
    elif own:
        raise DataError(f"{', '.join(own)}: options of a model that is given by name; change its configuration instead")
    config = dataclasses.replace(config or TrainConfig(), **training)
    job = _Job(zoo, Path(folder), task, model, features, config, train_limit, device, progress, tensorboard)
    job.check()
    if finished := finished_run(job.folder, job.asked):
        return finished
    with hold(job.folder, "a model is trained", inside=("checkpoints", "logs", "model", "tensorboard")):
        return finished_run(job.folder, job.asked) or _train(job)


@dataclasses.dataclass(frozen=True)
class _Job:
    """The arguments of :func:`train`, complete."""

    zoo: Zoo
    folder: Path
    task: Task
    model: ModelConfig
    features: FeatureConfig
    config: TrainConfig
    train_limit: int | None
    device: Device
    progress: bool
    tensorboard: bool

    def check(self) -> None:
        """Raise if the parts do not fit each other."""
        self.task.check(self.zoo)
        self.task.check_model(self.model)
        self.features.check(self.zoo.spec)
        self.model.check_kans(self.zoo.spec, self.features)
        check_symmetries(self.config.augment, self.zoo.spec, self.features)
        if empty := [split for split in SPLITS if len(self.zoo.split(split)) == 0]:
            raise DataError(
                f"the zoo in {self.zoo.folder} has no {' and no '.join(empty)} KANs; training needs all three splits"
            )
        if self.device == "cuda" and not torch.cuda.is_available():
            raise DataError("no CUDA GPU can be used here; choose device cpu")

    @property
    def asked(self) -> dict[str, Any]:
        """What the record of the run says was asked for, as JSON types."""
        return {
            "task": self.task.name,
            "model": self.model.to_dict(),
            "features": self.features.to_dict(),
            "train": self.config.to_dict(),
            "spec": self.zoo.spec.to_dict(),
            "zoo": self.zoo.digest,
            "train_limit": self.train_limit,
        }

    @property
    def torch_device(self) -> str:
        """The device, chosen."""
        return ("cuda" if torch.cuda.is_available() else "cpu") if self.device == "auto" else self.device

    def dataset(self, split: str) -> GraphDataset:
        """Make the graphs of a split; those of training are limited and augmented."""
        extra: dict[str, Any] = {}
        if split == "train":
            extra = {"limit": self.train_limit, "augment": self.config.augment}
        return GraphDataset(self.zoo, split, self.task, self.features, device=self.torch_device, **extra)


def _train(job: _Job) -> Run:
    origin, folder = provenance(), job.folder
    with random_state(job.config.seed):
        data, model = job.dataset("train"), build_model(job.model)
        model.standardize.set(data.statistics(model=model))
        val = job.dataset("val")
        predict(model.to(job.torch_device), [data[[0]]])  # what does not fit is raised before the folder is taken
        if read_record(folder) is None:
            write_record(folder, {"finished": False, "asked": job.asked})
        try:
            outcome = _fit(model, job, data, val)
            gc.collect()  # Lightning's cycles hold the data sets, gigabytes that Python does not see
            output, target = predict_split(model, val)
            if not bool(output.isfinite().all()):
                raise DivergedError(
                    f"training in {folder} diverged: outputs of its best epoch are not finite; "
                    f"delete the folder and lower the learning rate ({job.config.lr:g})"
                )
        except DivergedError:
            write_record(folder, {"finished": False, "diverged": True, "asked": job.asked})
            raise
        task = job.task.calibrated(job.task.decode(output), target)
        test = evaluate(model, job.zoo, task, job.features, device=job.torch_device)
    save_model(model, folder / "model")
    record = {
        "finished": True,
        "asked": job.asked,
        "calibration": dataclasses.asdict(task),
        "val": score(task, output, target),
        "test": test,
        **outcome,
        "parameters": model.num_parameters,
        "aligned": job.zoo.aligned,
        "recipe": job.zoo.recipe.to_dict(),
        "counts": {"train": len(data)} | {split: len(job.zoo.split(split)) for split in ("val", "test")},
        **origin,
    }
    write_record(folder, record)
    return Run(folder=folder, model=model.to("cpu").eval(), task=task, features=job.features, record=record)


def _fit(model: MetaNetwork, job: _Job, data: GraphDataset, val: GraphDataset) -> dict[str, Any]:
    """Train ``model`` in place, to the weights of its best epoch."""
    config, folder, device = job.config, job.folder, job.torch_device
    batches, place = graph_loader(data, config.batch_size, shuffle_seed=config.seed), folder / "checkpoints"
    module = TrainingModule(model, job.task, config, steps=config.epochs * len(batches))
    checkpoints = Checkpoints(place, module, len(batches))
    with _quiet_lightning():
        trainer = L.Trainer(
            accelerator="gpu" if device == "cuda" else device,
            devices=1,
            max_epochs=config.epochs,
            precision="bf16-mixed" if config.precision == "bf16" else "32-true",
            gradient_clip_val=config.gradient_clip,
            callbacks=[*checkpoints.callbacks, *([ProgressBar(leave=False)] if job.progress else [])],
            logger=_loggers(folder, job.tensorboard),
            plugins=[NoCheckpoints()],
            default_root_dir=place,
            enable_progress_bar=job.progress,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
        )
        try:
            with retain_freed_memory():
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
