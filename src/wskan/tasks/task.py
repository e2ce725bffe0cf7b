"""A task: which column of a zoo is the target, what is minimised, what is reported."""

from __future__ import annotations

import abc
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanSquaredError, MetricCollection, R2Score
from torchmetrics.classification import MulticlassAccuracy

from wskan.errors import DataError
from wskan.zoo import Zoo


class Task(abc.ABC):
    """Base of all tasks.

    Attributes:
        name: in :data:`TASKS`.
        columns: columns of the zoo that it needs.
        readout: what it predicts for, ``"graph"`` or ``"edge"``.
        out_dim: numbers that a model predicts.
        monitor: metric that chooses the best epoch on the validation split.
        mode: whether more of it is better (``"max"``) or less (``"min"``).
    """

    name: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]
    readout: ClassVar[Literal["graph", "edge"]] = "graph"
    out_dim: ClassVar[int]
    monitor: ClassVar[str]
    mode: ClassVar[Literal["min", "max"]]

    @abc.abstractmethod
    def targets(self, zoo: Zoo) -> Tensor:
        """Targets of all KANs of a zoo, ``[n, ...]``."""

    @abc.abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """What is minimised, a scalar, from a model's output ``[B, out_dim]``."""

    @abc.abstractmethod
    def decode(self, output: Tensor) -> Tensor:
        """A model's output in the units of the target, as the metrics take it."""

    @abc.abstractmethod
    def metrics(self) -> MetricCollection:
        """Fresh metrics, fed with (decoded output, target)."""

    def check(self, zoo: Zoo) -> None:
        """Refuse a zoo without the columns of this task.

        Raises:
            DataError: naming what it has.
        """
        if missing := set(self.columns) - set(zoo.columns):
            raise DataError(
                f"task {self.name} needs columns {sorted(missing)}; the zoo in {zoo.folder} has {sorted(zoo.columns)}"
            )


class INRClassification(Task):
    """Tell the class of the image that a KAN represents (paper, section 5.1): cross-entropy; accuracy in percent."""

    name, columns, out_dim = "inr-classification", ("label",), 10
    monitor, mode = "accuracy", "max"

    def targets(self, zoo: Zoo) -> Tensor:
        labels = zoo.columns["label"].long()
        if not bool(((labels >= 0) & (labels < self.out_dim)).all()):
            raise DataError(f"{zoo.folder}: labels must be from 0 to {self.out_dim - 1}")
        return labels

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(output, target)

    def decode(self, output: Tensor) -> Tensor:
        return output

    def metrics(self) -> MetricCollection:
        return MetricCollection({"accuracy": _Percent(self.out_dim, average="micro")})


class FrequencyRegression(Task):
    """Tell the frequencies of the sine wave that a KAN represents (paper, C.1.3): squared error, in (radians a unit of length)^2."""

    name, columns, out_dim = "frequency-regression", ("freq_0", "freq_1"), 2
    monitor, mode = "mse", "min"
    center, spread = 5.25, 9.5 / 12**0.5  # mean and standard deviation of a uniform number in [0.5, 10]

    def targets(self, zoo: Zoo) -> Tensor:
        return torch.stack([zoo.columns[name].float() for name in self.columns], -1)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(output, (target - self.center) / self.spread)

    def decode(self, output: Tensor) -> Tensor:
        return output * self.spread + self.center

    def metrics(self) -> MetricCollection:
        return MetricCollection({"mse": MeanSquaredError(), "r2": R2Score()})


class _Percent(MulticlassAccuracy):
    def compute(self) -> Tensor:
        return 100 * super().compute()


TASKS: dict[str, type[Task]] = {task.name: task for task in (INRClassification, FrequencyRegression)}


def get_task(name: str, zoo: Zoo | None = None) -> Task:
    """A task by name; ``"auto"`` takes the first whose columns the zoo has.

    Raises:
        DataError: there is none of that name, or none that fits.
    """
    if name == "auto" and zoo is not None:
        for task in TASKS.values():
            if set(task.columns) <= set(zoo.columns):
                return task()
        raise DataError(f"no task fits the columns {sorted(zoo.columns)} of {zoo.folder}")
    if name not in TASKS:
        raise DataError(f"no task {name!r:.100}; there are {', '.join(TASKS)}")
    return TASKS[name]()
