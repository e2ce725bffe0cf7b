"""Comparisons of methods on zoos of classifiers (paper, sections 5.2 and 5.3)."""

from __future__ import annotations

from collections.abc import Sequence

from wskan.experiments.engine.classifier_scale import Problem
from wskan.experiments.engine.classifier_zoos import classifier_zoos
from wskan.experiments.engine.comparison import Comparison, Metric
from wskan.experiments.engine.experiment import Experiment, Request
from wskan.experiments.engine.notes import classifier_training_notes, classifier_zoo_notes
from wskan.experiments.engine.workspace import Workspace

CLASSIFIER_METHODS = ("mlp", "mlp_aug", "mlp_align", "dmc", "deep_sets", "ws_kan")
"""The paper leaves out the SetTransformer, which attends between all 26,432 edges."""

FULL_ACCURACY = (*CLASSIFIER_METHODS[:-1], "weights", "probes")
FULL_PRUNING = (*FULL_ACCURACY, "scores")
"""Methods at scale ``full``: WS-KANs that read weights, read activations, or learn scores instead of masks."""


def on_classifiers(
    name: str,
    problem: Problem,
    methods: Sequence[str],
    metrics: Sequence[Metric],
    reuses_runs_of: Experiment | None = None,
    full: Sequence[str] | None = None,
) -> Experiment:
    """Return a comparison of test scores on zoos of classifiers."""

    def notes(workspace: Workspace, request: Request) -> list[str]:
        return [
            *classifier_training_notes(request, problem),
            *classifier_zoo_notes(classifier_zoos(workspace, request)),
        ]

    comparison = Comparison(
        problem=problem,
        methods=methods,
        metrics=metrics,
        notes=notes,
        full_methods=full,
        untrained=problem == "pruning" and full is not None,
    )
    return comparison.experiment(name, reuses_runs_of=reuses_runs_of)
