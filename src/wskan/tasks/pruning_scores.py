"""How much is each edge worth? The scores of a pruning oracle, without data."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import torch
from torch import Tensor
from torchmetrics import MetricCollection

from wskan.kan.edges import flatten_edges
from wskan.kan.oracle import THRESHOLD
from wskan.reading import number
from wskan.tasks.pruning import LARGE, Pruning
from wskan.tasks.regression import R2
from wskan.tasks.task import ABSENT
from wskan.zoo import Zoo


@dataclasses.dataclass(frozen=True)
class PruningScores(Pruning):
    """Tell what the oracle scores each edge of a classifier, as a natural logarithm, by squared error.

    A mask says which edges stay at one threshold, scores in which order they go. Metrics are over all edges of all
    KANs: ROC-AUC and accuracy of the oracle's mask in percent, and R2 of the logarithms.

    Args:
        threshold: an edge is kept if its predicted logarithm is higher; chosen to give the highest accuracy on the
            validation split. Accuracies of a learning curve, before it is chosen, are those at the oracle's own.
        oracle: score above which the oracle keeps an edge.

    Attributes:
        center, spread: mean and standard deviation that the logarithms are expected to have (measured on classifiers of
            digits: -5.1 and 2.2, MNIST: -8.3 and 3.2, Fashion-MNIST: -7.9 and 2.0).

    Raises:
        DataError: a threshold that is no finite number, or no positive one of the oracle.
    """

    threshold: float = math.log(THRESHOLD)
    oracle: float = THRESHOLD

    name, absent = "pruning-scores", -100.0
    center: ClassVar[float] = -7.0
    spread: ClassVar[float] = 2.5

    def __post_init__(self) -> None:
        super().__post_init__()
        number(self.oracle, f"task {self.name}: oracle", 1e-38, LARGE)

    def targets(self, zoo: Zoo, rows: Tensor | slice = slice(None)) -> Tensor:
        """Logarithms of scores, ``[n, E]`` float32."""
        return flatten_edges(zoo.scores(rows))

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        exist = target != self.absent
        error = (output - (target.to(output) - self.center) / self.spread).square() * exist
        return error.sum() / exist.sum().clamp_min(1)

    def decode(self, output: Tensor) -> Tensor:
        """Logarithms of scores."""
        return output * self.spread + self.center

    def kept(self, target: Tensor) -> Tensor:
        return (target > math.log(self.oracle)).to(torch.int8).masked_fill(target == self.absent, ABSENT)

    def metrics(self) -> MetricCollection:
        metrics = super().metrics()
        metrics.add_metrics({"r2": EdgeR2(self.absent, self.center)})
        return metrics

    def fits(self, zoo: Zoo) -> bool:
        return zoo.has_scores

    def check(self, zoo: Zoo) -> None:
        """Refuse a zoo without scores.

        Raises:
            DataError: saying what to do.
        """
        zoo.check_scores()


class EdgeR2(R2):
    """Over edges that exist; less a constant about their mean, for the sake of single precision."""

    def __init__(self, absent: float, center: float) -> None:
        super().__init__()
        self.absent, self.center = absent, center

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add numbers and targets of one shape."""
        exist = target != self.absent
        if bool(exist.any()):
            super().update(preds[exist] - self.center, target[exist] - self.center)
