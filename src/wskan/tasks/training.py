"""Training a model on a zoo."""

from __future__ import annotations

import dataclasses
import gc
from pathlib import Path
from typing import Any, Literal

from wskan.errors import DataError, DivergedError
from wskan.graph import FeatureConfig
from wskan.locks import hold, sweep
from wskan.models import ModelConfig, build_model, save_model
from wskan.provenance import provenance
from wskan.runtime import random_state, resolve_device
from wskan.tasks.augmentation import check_symmetries
from wskan.tasks.config import TrainConfig
from wskan.tasks.configure import default_features, model_config, split_options
from wskan.tasks.data import GraphDataset
from wskan.tasks.evaluation import evaluate, predict, predict_split, score
from wskan.tasks.fitting import fit
from wskan.tasks.opening import finished_run
from wskan.tasks.record import read_record, write_record
from wskan.tasks.registry import get_task
from wskan.tasks.run import Run
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
    """Train a model on a zoo, or resume an interrupted run, and score its best epoch once on the test split.

    Fields of the task, such as a threshold, are chosen on the validation split before that. The random state of the
    caller is not changed.

    Args:
        zoo: training, validation and test KANs, or the folder of a zoo.
        folder: folder of the run. A run with the same arguments is resumed, or returned if it is finished.
        task: task to train for, or its name; ``"auto"`` chooses the first task whose targets the zoo contains.
        model: name in :data:`wskan.models.MODELS`, or a configuration.
        features: features that describe a KAN; None chooses with :func:`wskan.tasks.default_features`.
        config: configuration of the training; None for ``TrainConfig()``.
        train_limit: use only the first training KANs, this many.
        device: ``"auto"`` uses a GPU if there is one.
        progress: show a progress bar.
        tensorboard: write TensorBoard logs as well (needs the extra ``track``).
        options: fields of :class:`TrainConfig` (``epochs``, ``lr``, ``batch_size``, ...), which replace those of
            ``config``. If ``model`` is a name, also fields of its configuration (``hidden``, ``num_layers``, ...).

    Returns:
        The finished run, with the model on the CPU.

    Raises:
        DataError: the folder contains another run, another process trains in it, or the disk is full. Also if the zoo
            does not fit the task, the features or the augmentation, or the model was made for another task.
        DivergedError: the loss, or an output of the best epoch, is not finite.
        ShapeError: the graphs of the zoo do not fit the model.

    Example:
        >>> import tempfile, wskan
        >>> from wskan.testing import FakeZoo
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run = wskan.train(FakeZoo((2, 4, 1)), folder, hidden=8, num_layers=1, epochs=2, device="cpu")
        >>> run.task.name, run.record["epochs"], sorted(run.record["test"])
        ('inr-classification', 2, ['accuracy', 'loss'])
    """
    zoo = open_zoo(zoo) if isinstance(zoo, Path | str) else zoo
    task = get_task(task, zoo) if isinstance(task, str) else task
    train_options, model_options = split_options(options)
    features = features or default_features(model, zoo.spec, model_options)
    if isinstance(model, str):
        model = model_config(model, zoo.spec, task, features, **model_options)
    elif model_options:
        raise DataError(
            f"{', '.join(model_options)}: options of a model that is given by name; change its configuration instead"
        )
    config = dataclasses.replace(config or TrainConfig(), **train_options)
    job = _Job(zoo, Path(folder), task, model, features, config, train_limit, device, progress, tensorboard)
    job.check()
    inside = ("checkpoints", "logs", "model", "tensorboard")
    if finished := finished_run(job.folder, job.asked):
        sweep(job.folder, *inside)
        return finished
    with hold(job.folder, "a model is trained", inside=inside):
        return finished_run(job.folder, job.asked) or _train(job)


@dataclasses.dataclass(frozen=True)
class _Job:
    """The arguments of :func:`train`, with defaults resolved."""

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
        resolve_device(self.device)

    @property
    def asked(self) -> dict[str, Any]:
        """Arguments as the record of the run contains them, in JSON types."""
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
        """Device to train on, with ``"auto"`` resolved."""
        return resolve_device(self.device).type

    def dataset(self, split: str) -> GraphDataset:
        """Make the graphs of a split. Only the training split is limited and augmented."""
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
        predict(model.to(job.torch_device), [data[[0]]])  # a misfit raises before the folder is used
        if read_record(folder) is None:
            write_record(folder, {"finished": False, "asked": job.asked})
        try:
            outcome = fit(model, data, val, job.config, folder, progress=job.progress, tensorboard=job.tensorboard)
            gc.collect()  # reference cycles of Lightning keep the data sets, which may be gigabytes
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
