"""How good is it? The test accuracy of a classifier, without data."""

from __future__ import annotations

from torch import Tensor
from torchmetrics import MetricCollection

from wskan.errors import DataError
from wskan.tasks.regression import Kendall, Regression
from wskan.zoo import Zoo


class AccuracyPrediction(Regression):
    """Tell the test accuracy of a classifier (paper, section 5.2): squared error of the fraction; also R^2 and Kendall's tau."""

    name, columns, out_dim = "accuracy-prediction", ("accuracy",), 1
    center, spread = 0.5, 12**-0.5  # of a uniform number in [0, 1]

    def targets(self, zoo: Zoo, rows: Tensor | slice = slice(None)) -> Tensor:
        accuracy = super().targets(zoo, rows)
        if not bool(((accuracy >= 0) & (accuracy <= 1)).all()):
            raise DataError(
                f"{zoo.folder}: accuracies must be in [0, 1], got {float(accuracy.min()):g} to {float(accuracy.max()):g}"
            )
        return accuracy

    def metrics(self) -> MetricCollection:
        return MetricCollection([super().metrics(), MetricCollection({"kendall": Kendall()})])

    def training_metrics(self) -> MetricCollection:
        """Without Kendall's tau, whose time grows with the square of the KANs."""
        return super().metrics()
