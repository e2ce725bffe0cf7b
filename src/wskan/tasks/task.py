"""A task: what of a zoo is the target, what is minimised, what is reported."""

from __future__ import annotations

import abc
import dataclasses
from typing import ClassVar, Literal, Self

from torch import Tensor
from torchmetrics import MetricCollection

from wskan.errors import DataError
from wskan.models import ModelConfig
from wskan.zoo import Zoo

ABSENT = (
    -1
)  # target of an edge that the KAN does not have, unless its task says another; neither loss nor metrics count it


@dataclasses.dataclass(frozen=True)
class Task(abc.ABC):
    """Base of all tasks. Fields of one, if it has any, are chosen on the validation split, and kept with the run.

    Attributes:
        name: in :data:`TASKS`.
        columns: columns of the zoo that it needs.
        readout: what it predicts for, ``"graph"`` or ``"edge"``.
        out_dim: numbers that a model predicts, for each graph or each edge.
        monitor: metric that chooses the best epoch on the validation split.
        mode: whether more of it is better (``"max"``) or less (``"min"``).
        absent: with the edge read-out, the target of an edge that the KAN does not have, which no other edge can have.
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
        """Targets of some KANs of a zoo, ``[n, ...]``; with the edge read-out ``[n, E]``, edges in the order of :func:`wskan.kan.edges.flatten_edges`."""

    @abc.abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """What is minimised, a scalar, from a model's output ``[B, out_dim]``, or ``[B, E * out_dim]`` with the edge read-out."""

    @abc.abstractmethod
    def decode(self, output: Tensor) -> Tensor:
        """A model's output in the units of the target, as the metrics take it."""

    @abc.abstractmethod
    def metrics(self) -> MetricCollection:
        """Fresh metrics, fed with (decoded output, target)."""

    def training_metrics(self) -> MetricCollection:
        """Those of them that are worth their time on the training split, each epoch."""
        return self.metrics()

    def calibrated(self, output: Tensor, target: Tensor) -> Self:
        """The task with its fields chosen on decoded outputs for the validation split; a task without fields is what it was."""
        return self

    def fits(self, zoo: Zoo) -> bool:
        """Whether a zoo has what it needs."""
        return set(self.columns) <= set(zoo.columns)

    def check(self, zoo: Zoo) -> None:
        """Refuse a zoo without the columns of this task.

        Raises:
            DataError: naming what it has.
        """
        if missing := set(self.columns) - set(zoo.columns):
            raise DataError(
                f"task {self.name} needs columns {sorted(missing)}; the zoo in {zoo.folder} has {sorted(zoo.columns)}"
            )

    def check_model(self, config: ModelConfig) -> None:
        """Refuse a model that answers in another shape.

        Raises:
            DataError: such a model.
        """
        if (config.readout, config.out_dim) != (self.readout, self.out_dim):
            raise DataError(
                f"the model predicts {config.out_dim} numbers for each {config.readout}, task {self.name} needs {self.out_dim} for each {self.readout}"
            )
