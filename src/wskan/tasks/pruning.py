"""What tasks have in common that say which edges of a classifier can go."""

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

LARGE = 3e38  # about all that single precision holds


@dataclasses.dataclass(frozen=True)
class Pruning(Task):
    """Base of tasks that give each edge a number, the higher, the more it speaks for keeping the edge.

    Args:
        threshold: an edge is kept if its number is higher; chosen to give the highest accuracy on the validation split
            (paper, C.3.2).

    Raises:
        DataError: a threshold that is no finite number.
    """

    threshold: float = 0.0

    columns, readout, out_dim = (), "edge", 1
    monitor, mode = "auc", "max"

    def __post_init__(self) -> None:
        number(self.threshold, f"task {self.name}: threshold", -LARGE, LARGE)

    @abc.abstractmethod
    def kept(self, target: Tensor) -> Tensor:
        """Read off targets which edges the oracle keeps, int8 of the same shape: 1 for one to keep, 0 for one to prune,
        ABSENT for one that is not there.
        """

    def keep(self, output: Tensor) -> Tensor:
        """Predict the mask, bool, from decoded outputs of the same shape."""
        return output > self.threshold

    def metrics(self) -> MetricCollection:
        return MetricCollection({"auc": ROCAUC(self.kept), "accuracy": AccuracyAbove(self.threshold, self.kept)})

    def training_metrics(self) -> MetricCollection:
        """Accuracy alone: a sum, where ROC-AUC would keep and sort the numbers of all training edges."""
        return MetricCollection({"accuracy": AccuracyAbove(self.threshold, self.kept)})

    def calibrated(self, output: Tensor, target: Tensor) -> Self:
        """With the threshold of the highest accuracy; unchanged if there is no edge to measure it on."""
        kept = self.kept(target)
        exist = kept != ABSENT
        if not bool(exist.any()):
            return self
        return dataclasses.replace(self, threshold=best_threshold(output[exist], kept[exist] == 1))


def best_edges(score: Tensor, population: Population, share: float) -> Tensor:
    """Choose the edges of each KAN that score highest among those that exist, a fraction ``share`` of them, ``[K, E]``."""
    exist = flatten_edges([layer.mask != 0 for layer in population.layers]).to(score.device)
    order = score.masked_fill(~exist, -torch.inf).argsort(dim=1, descending=True, stable=True)
    rank: Tensor = order.argsort(1)
    return rank.lt((share * exist.sum(1, keepdim=True)).round())
