"""Scoring a trained model on a split of a zoo."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from wskan.graph import FeatureConfig, KANGraph
from wskan.models import MetaNetwork
from wskan.tasks.data import GraphDataset, graph_loader
from wskan.tasks.task import Task
from wskan.zoo import Zoo


@torch.inference_mode()
def predict(model: MetaNetwork, batches: Iterable[tuple[KANGraph, Tensor]]) -> tuple[Tensor, Tensor]:
    """Outputs ``[n, out_dim]`` and targets ``[n, ...]`` of all batches, on the CPU."""
    was_training = model.training
    model.eval()
    outputs, targets = [], []
    for graph, target in batches:
        outputs.append(model(graph).float().cpu())
        targets.append(target.cpu())
    model.train(was_training)
    return torch.cat(outputs), torch.cat(targets)


def evaluate(
    model: MetaNetwork,
    zoo: Zoo,
    task: Task,
    features: FeatureConfig | None = None,
    *,
    split: str = "test",
    batch_size: int = 128,
    device: torch.device | str = "cpu",
) -> dict[str, float]:
    """Metrics of a model on a split, in single precision.

    Raises:
        DataError: the zoo lacks a column of the task.
        ShapeError: its graphs do not fit the model.
    """
    dataset = GraphDataset(zoo, split, task, features or FeatureConfig(), device=device)
    output, target = predict(model.to(device), graph_loader(dataset, batch_size))
    metrics = task.metrics()
    metrics.update(task.decode(output), target)
    return {name: float(value) for name, value in metrics.compute().items()} | {
        "loss": float(task.loss(output, target))
    }
