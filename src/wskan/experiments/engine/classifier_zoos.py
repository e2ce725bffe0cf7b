"""Zoos of classifiers that a request is about."""

from __future__ import annotations

from wskan.experiments.engine.experiment import Request
from wskan.experiments.engine.workspace import Workspace
from wskan.zoo import Recipe, Zoo


def classifier_recipes(request: Request) -> list[Recipe]:
    """Zoos of classifiers."""
    return [request.scale.classifiers.recipe(dataset) for dataset in request.datasets]


def classifier_zoos(workspace: Workspace, request: Request) -> dict[str, Zoo]:
    """The same, built where they are missing."""
    return {
        dataset: workspace.zoo(recipe, progress=True)
        for dataset, recipe in zip(request.datasets, classifier_recipes(request), strict=True)
    }
