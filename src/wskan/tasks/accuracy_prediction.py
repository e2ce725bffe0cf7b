"""How good is it? The test accuracy of a classifier, without data."""

from __future__ import annotations

from torchmetrics import MetricCollection

from wskan.tasks.regression import Kendall, Regression


class AccuracyPrediction(Regression):
    """Tell the test accuracy of a classifier (paper, section 5.2): squared error of the fraction; also R^2 and Kendall's tau."""

    name, columns, out_dim = "accuracy-prediction", ("accuracy",), 1
    center, spread = 0.5, 12**-0.5  # of a uniform number in [0, 1]

    def metrics(self) -> MetricCollection:
        return MetricCollection([super().metrics(), MetricCollection({"kendall": Kendall()})])

    def training_metrics(self) -> MetricCollection:
        """Without Kendall's tau, whose time grows with the square of the KANs."""
        return super().metrics()
