"""Pruning scores in closed form, from a KAN's own grids: a method without training in table 4 and figure 5."""

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
MAX_KANS = 64  # at once


def scores(population: Population) -> Tensor:
    """Return the scores of all edges of n KANs, ``[n, E]``."""
    parts = [population[begin : begin + MAX_KANS] for begin in range(0, len(population), MAX_KANS)]
    return torch.cat([flatten_edges(attribution(part).edges) for part in parts])


def closed_form(workspace: Workspace, recipe: Recipe) -> dict[str, Any]:
    """Compare the scores with the oracle's masks.

    Returns:
        The metrics of :class:`wskan.tasks.PruningMask` on the test split, and ``threshold``, the best one on the
        validation split.
    """
    zoo = workspace.zoo(recipe, progress=True)
    key = {"what": "closed form", "zoo": [zoo.digest, zoo.checksum]}
    shape = {"threshold": float, "auc": float, "accuracy": float, str: float}
    metrics: dict[str, Any] = workspace.cached(key, lambda: _measure(zoo), shape)
    return metrics


def _measure(zoo: Zoo) -> dict[str, Any]:
    splits = {}
    for name in ("val", "test"):
        rows = zoo.split(name)
        splits[name] = scores(zoo.population(rows)), PruningMask().targets(zoo, rows)
    task = PruningMask().calibrated(*splits["val"])
    return {**score(task, *splits["test"]), "threshold": task.threshold}
