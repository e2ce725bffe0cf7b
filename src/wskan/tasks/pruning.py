"""The base of tasks that predict which edges of a classifier can be pruned."""

from __future__ import annotations

import abc
import dataclasses
from typing import Self

import torch
from torch import Tensor
from torchmetrics import MetricCollection

from wskan.kan import Population
from wskan.kan.edges import flatten_edges
from wskan.reading import number
from wskan.tasks.binary_metrics import ROCAUC, AccuracyAbove, best_threshold
from wskan.tasks.task import ABSENT, Task

MAX_FLOAT32 = 3e38  # about the largest number in single precision


@dataclasses.dataclass(frozen=True)
class Pruning(Task):
    """The base of tasks that predict a score for each edge, where edges with high scores are kept.

    Args:
        threshold: an edge is kept if its score is higher. It is chosen for the highest accuracy on the validation split
            (paper, C.3.2).

    Raises:
        DataError: the threshold is not a finite number.
    """

    threshold: float = 0.0

    columns, readout, out_dim = (), "edge", 1
    monitor, mode = "auc", "max"

    def __post_init__(self) -> None:
        number(self.threshold, f"task {self.name}: threshold", -MAX_FLOAT32, MAX_FLOAT32)

    @abc.abstractmethod
    def kept(self, target: Tensor) -> Tensor:
        """Convert targets to the oracle's mask, int8 of the same shape.

        It is 1 for an edge to keep, 0 for one to prune, and ABSENT for one that does not exist.
        """

    def keep(self, output: Tensor) -> Tensor:
        """Predict the mask from decoded outputs, as bool of the same shape."""
        return output > self.threshold

    def metrics(self) -> MetricCollection:
        return MetricCollection({"auc": ROCAUC(self.kept), "accuracy": AccuracyAbove(self.threshold, self.kept)})

    def training_metrics(self) -> MetricCollection:
        """Return the accuracy only, because ROC-AUC would keep and sort the scores of all training edges."""
        return MetricCollection({"accuracy": AccuracyAbove(self.threshold, self.kept)})

    def calibrated(self, output: Tensor, target: Tensor) -> Self:
        """Return the task with the threshold of the highest accuracy, or unchanged if no edge exists."""
        kept = self.kept(target)
        exist = kept != ABSENT
        if not bool(exist.any()):
            return self
        return dataclasses.replace(self, threshold=best_threshold(output[exist], kept[exist] == 1))


def best_edges(score: Tensor, population: Population, share: float) -> Tensor:
    """Choose the existing edges of each KAN with the highest scores, a fraction ``share`` of them, ``[K, E]`` bool."""
    exist = flatten_edges([layer.mask != 0 for layer in population.layers]).to(score.device)
    order = score.masked_fill(~exist, -torch.inf).argsort(dim=1, descending=True, stable=True)
    rank: Tensor = order.argsort(1)
    return rank.lt((share * exist.sum(1, keepdim=True)).round())
