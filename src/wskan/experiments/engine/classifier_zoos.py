"""The zoos of classifiers that a request needs."""

from __future__ import annotations

from wskan.experiments.engine.experiment import Request
from wskan.experiments.engine.workspace import Workspace
from wskan.zoo import Recipe, Zoo


def classifier_recipes(request: Request) -> list[Recipe]:
    """Return the recipes of the zoos of classifiers, one per data set."""
    return [request.scale.classifiers.recipe(dataset) for dataset in request.datasets]


def classifier_zoos(workspace: Workspace, request: Request) -> dict[str, Zoo]:
    """Return these zoos by data set, and build the missing ones."""
    return {
        dataset: workspace.zoo(recipe, progress=True)
        for dataset, recipe in zip(request.datasets, classifier_recipes(request), strict=True)
    }
