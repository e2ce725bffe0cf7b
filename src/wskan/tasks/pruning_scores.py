"""The task of predicting the scores of a pruning oracle."""

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
from wskan.tasks.pruning import MAX_FLOAT32, Pruning
from wskan.tasks.regression import R2
from wskan.tasks.task import ABSENT
from wskan.zoo import Zoo


@dataclasses.dataclass(frozen=True)
class PruningScores(Pruning):
    """Predict the natural logarithm of the oracle's score of each edge of a classifier.

    A mask contains which edges stay at one threshold, scores in which order to prune them. The loss is the squared
    error. The metrics are ROC-AUC and accuracy of the oracle's mask in percent, and R2 of the logarithms. They are over
    all edges of all KANs.

    Args:
        threshold: an edge is kept if its predicted logarithm is higher. It is chosen for the highest accuracy on the
            validation split. Before that, in the learning curve, it is the oracle's.
        oracle: score above which the oracle keeps an edge.

    Attributes:
        center, spread: expected mean and standard deviation of the logarithms. Measured on classifiers they are -5.1
            and 2.2 (digits), -8.3 and 3.2 (MNIST), -7.9 and 2.0 (Fashion-MNIST).

    Raises:
        DataError: the threshold is not a finite number, or the oracle's is not positive.
    """

    threshold: float = math.log(THRESHOLD)
    oracle: float = THRESHOLD

    name, absent = "pruning-scores", -100.0
    center: ClassVar[float] = -7.0
    spread: ClassVar[float] = 2.5

    def __post_init__(self) -> None:
        super().__post_init__()
        number(self.oracle, f"task {self.name}: oracle", 1e-38, MAX_FLOAT32)

    def targets(self, zoo: Zoo, rows: Tensor | slice = slice(None)) -> Tensor:
        """Return the logarithms of scores, ``[n, E]`` float32."""
        return flatten_edges(zoo.scores(rows))

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        exist = target != self.absent
        error = (output - (target.to(output) - self.center) / self.spread).square() * exist
        return error.sum() / exist.sum().clamp_min(1)

    def decode(self, output: Tensor) -> Tensor:
        """Convert outputs to logarithms of scores."""
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
        """Raise if a zoo has no scores.

        Raises:
            DataError: the zoo has no scores.
        """
        zoo.check_scores()


class EdgeR2(R2):
    """R2 over the edges that exist.

    The expected mean is subtracted first, because of single precision.
    """

    def __init__(self, absent: float, center: float) -> None:
        super().__init__()
        self.absent, self.center = absent, center

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add predictions and targets of the same shape."""
        exist = target != self.absent
        if bool(exist.any()):
            super().update(preds[exist] - self.center, target[exist] - self.center)
