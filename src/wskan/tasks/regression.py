"""Tasks of predicting numbers about a whole KAN: the accuracy of a classifier, the frequencies of a wave."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import KendallRankCorrCoef, MeanSquaredError, MetricCollection, R2Score

from wskan.tasks.task import Task
from wskan.zoo import Zoo


class Regression(Task):
    """The base of tasks that predict the numbers in ``columns``, by squared error.

    Targets are ``[n, len(columns)]`` float32.

    Attributes:
        center, spread: expected mean and standard deviation of the numbers.
    """

    monitor, mode = "mse", "min"
    center: ClassVar[float]
    spread: ClassVar[float]

    def targets(self, zoo: Zoo, rows: Tensor | slice = slice(None)) -> Tensor:
        return torch.stack([zoo.columns[name][rows].float() for name in self.columns], -1)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(output, (target - self.center) / self.spread)

    def decode(self, output: Tensor) -> Tensor:
        return output * self.spread + self.center

    def metrics(self) -> MetricCollection:
        return MetricCollection({"mse": MeanSquaredError(), "r2": R2()})


class R2(R2Score):
    """The coefficient of determination; zero for a single KAN, where it is not defined."""

    def compute(self) -> Tensor:
        return super().compute() if int(self.total) > 1 else torch.zeros((), device=self.total.device)


class Kendall(KendallRankCorrCoef):
    """Kendall's tau (b) of ``[B, 1]``; zero if all numbers are equal, where it is not defined."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        super().update(preds.squeeze(-1), target.squeeze(-1))

    def compute(self) -> Tensor:
        tau: Tensor = super().compute()  # type: ignore[assignment]
        return tau.nan_to_num(0.0)


class AccuracyPrediction(Regression):
    """Predict the test accuracy of a classifier, as a fraction (paper, section 5.2).

    The metrics are the squared error, R^2 and Kendall's tau.
    """

    name, columns, out_dim = "accuracy-prediction", ("accuracy",), 1
    center, spread = 0.5, 12**-0.5  # those of a uniform number in [0, 1]

    def metrics(self) -> MetricCollection:
        return MetricCollection([super().metrics(), MetricCollection({"kendall": Kendall()})])

    def training_metrics(self) -> MetricCollection:
        """Return the metrics without Kendall's tau, whose time grows with the square of the number of KANs."""
        return super().metrics()


class FrequencyRegression(Regression):
    """Predict the frequencies of the sine wave that a KAN represents (paper, C.1.3).

    Frequencies are in radians per unit of length. The metrics are the squared error and R^2.
    """

    name, columns, out_dim = "frequency-regression", ("freq_0", "freq_1"), 2
    center, spread = 5.25, 9.5 / 12**0.5  # those of a uniform number in [0.5, 10]
