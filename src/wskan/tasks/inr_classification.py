"""The task of classifying the image that a KAN represents."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from wskan.errors import DataError
from wskan.tasks.task import Task
from wskan.zoo import Zoo


class INRClassification(Task):
    """Predict the class of the image that a KAN represents (paper, section 5.1).

    The loss is the cross-entropy, the metric the accuracy in percent. Targets are classes, ``[n]`` int64.
    """

    name, columns, out_dim = "inr-classification", ("label",), 10
    monitor, mode = "accuracy", "max"

    def targets(self, zoo: Zoo, rows: Tensor | slice = slice(None)) -> Tensor:
        labels = zoo.columns["label"][rows].long()
        if not bool(((labels >= 0) & (labels < self.out_dim)).all()):
            raise DataError(f"{zoo.folder}: labels must be from 0 to {self.out_dim - 1}")
        return labels

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(output, target)

    def decode(self, output: Tensor) -> Tensor:
        return output

    def metrics(self) -> MetricCollection:
        return MetricCollection({"accuracy": _Percent(self.out_dim, average="micro")})


class _Percent(MulticlassAccuracy):
    def compute(self) -> Tensor:
        return 100 * super().compute()
