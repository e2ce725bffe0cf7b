"""The base class of tasks, which define targets, loss and metrics."""

from __future__ import annotations

import abc
import dataclasses
from typing import ClassVar, Literal, Self

from torch import Tensor
from torchmetrics import MetricCollection

from wskan.errors import DataError
from wskan.models import ModelConfig
from wskan.zoo import Zoo

ABSENT = -1
"""Default target of an edge that does not exist. Loss and metrics ignore it."""


@dataclasses.dataclass(frozen=True)
class Task(abc.ABC):
    """The base of all tasks.

    The fields of a task, if any, are chosen on the validation split. The run contains them.

    Attributes:
        name: name in :data:`TASKS`.
        columns: columns of the zoo that the task needs.
        readout: ``"graph"`` for predictions per KAN, ``"edge"`` for predictions per edge.
        out_dim: numbers that a model predicts per graph or per edge.
        monitor: metric that chooses the best epoch on the validation split.
        mode: whether high (``"max"``) or low (``"min"``) values of that metric are better.
        absent: with the edge readout, the target of an edge that does not exist. No other edge can have it.
    """

    name: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]
    readout: ClassVar[Literal["graph", "edge"]] = "graph"
    out_dim: ClassVar[int]
    monitor: ClassVar[str]
    mode: ClassVar[Literal["min", "max"]]
    absent: ClassVar[float] = ABSENT

    @abc.abstractmethod
    def targets(self, zoo: Zoo, rows: Tensor | slice = slice(None)) -> Tensor:
        """Return the targets of some KANs of a zoo, ``[n, ...]``.

        With the edge readout they are ``[n, E]``, edges in the order of :func:`wskan.kan.edges.flatten_edges`.
        """

    @abc.abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Compute the loss, a scalar, of outputs ``[B, out_dim]``, or ``[B, E * out_dim]`` with the edge readout."""

    @abc.abstractmethod
    def decode(self, output: Tensor) -> Tensor:
        """Convert outputs of a model to the units of the target, as the metrics expect them."""

    @abc.abstractmethod
    def metrics(self) -> MetricCollection:
        """Make new metrics, which are updated with decoded outputs and targets."""

    def training_metrics(self) -> MetricCollection:
        """Make the metrics that are fast enough to compute on the training split in each epoch."""
        return self.metrics()

    def calibrated(self, output: Tensor, target: Tensor) -> Self:
        """Return the task with its fields chosen for the best scores on the validation split.

        A task without fields is returned unchanged.

        Args:
            output: decoded outputs.
            target: targets.
        """
        return self

    def fits(self, zoo: Zoo) -> bool:
        """Return whether a zoo has the targets of this task."""
        return set(self.columns) <= set(zoo.columns)

    def check(self, zoo: Zoo) -> None:
        """Raise if a zoo lacks the targets of this task.

        Raises:
            DataError: a column is missing. The message names those that exist.
        """
        if missing := set(self.columns) - set(zoo.columns):
            raise DataError(
                f"task {self.name} needs columns {sorted(missing)}; the zoo in {zoo.folder} has {sorted(zoo.columns)}"
            )

    def check_model(self, config: ModelConfig) -> None:
        """Raise if the outputs of a model do not fit this task.

        Raises:
            DataError: another readout, or another number of outputs.
        """
        if (config.readout, config.out_dim) != (self.readout, self.out_dim):
            raise DataError(
                f"the model predicts {config.out_dim} numbers for each {config.readout}, "
                f"task {self.name} needs {self.out_dim} for each {self.readout}"
            )
