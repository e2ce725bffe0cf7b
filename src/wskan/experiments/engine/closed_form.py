"""Pruning scores that follow from a KAN's own grids, as a method without training: its rows in table 4 and figure 5."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wskan.experiments.engine.workspace import Workspace
from wskan.kan import Population, attribution
from wskan.kan.edges import flatten_edges
from wskan.tasks import PruningMask
from wskan.tasks.evaluation import score
from wskan.zoo import Recipe, Zoo

ROW, LABEL, READS = "closed_form", "Closed form, no training", "weights"
FEW = 64  # KANs at once


def scores(population: Population) -> Tensor:
    """Score all edges of some KANs, ``[n, E]``."""
    parts = [population[begin : begin + FEW] for begin in range(0, len(population), FEW)]
    return torch.cat([flatten_edges(attribution(part).edges) for part in parts])


def closed_form(workspace: Workspace, recipe: Recipe) -> dict[str, Any]:
    """Measure the scores against the oracle's masks: metrics of :class:`wskan.tasks.PruningMask` on the test split, and the threshold that is best on the validation split."""
    zoo = workspace.zoo(recipe, progress=True)
    key = {"what": "closed form", "zoo": [zoo.digest, zoo.checksum]}
    measured: dict[str, Any] = workspace.cached(
        key, lambda: _measure(zoo), {"threshold": float, "auc": float, "accuracy": float, str: float}
    )
    return measured


def _measure(zoo: Zoo) -> dict[str, Any]:
    splits = {}
    for name in ("val", "test"):
        rows = zoo.split(name)
        splits[name] = scores(zoo.population(rows)), PruningMask().targets(zoo, rows)
    task = PruningMask().calibrated(*splits["val"])
    return {**score(task, *splits["test"]), "threshold": task.threshold}
