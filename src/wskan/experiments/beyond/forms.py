"""Beyond the paper: a comparison of descriptions of a KAN to learn from."""

from __future__ import annotations

import dataclasses

from wskan.experiments.engine.classifier_scale import Problem, Search
from wskan.experiments.engine.classifier_zoos import classifier_zoos
from wskan.experiments.engine.comparison import Comparison, Metric
from wskan.experiments.engine.experiment import Experiment, Request
from wskan.experiments.engine.methods import FORMS_OF_FEATURES, SYMMETRIC, form_label, form_name
from wskan.experiments.engine.notes import classifier_training_notes, data_notes, inr_notes
from wskan.experiments.engine.scale import Scale
from wskan.experiments.engine.workspace import Workspace
from wskan.graph import FeatureConfig

LABELS = {name: form_label(features, augment) for name, (features, augment) in FORMS_OF_FEATURES.items()}
RAW_AND_BEST = tuple(dict.fromkeys(["ws_kan", form_name(FeatureConfig())]))
"""Eq. 5, and the library's default."""
OTHER_DATASET_METHODS = (*RAW_AND_BEST, form_name(FeatureConfig(), SYMMETRIC), "gauge_knots")
"""Forms on other data sets than MNIST.

These are the two above, the best form on MNIST's validation KANs, and the best form that reads parameters.
"""
LONG = OTHER_DATASET_METHODS[:3]
"""Forms that are also trained with the epochs of the paper's tables. Eq. 5 is their WS-KAN: it has table 1's runs."""

EXPLAINED = (
    "Forms that WS-KAN reads: raw is eq. 5; folded has the spline weight in the coefficients; gauge is folded, with "
    "the mean of the coefficients in a bias of the neuron and fixed signs; function has values and slopes at 12 "
    "points. Knots: each neuron also has the knots of its grid. Symmetries: each time that a training KAN is seen, it "
    "is randomly scaled, sign-flipped and moved by 1 % noise (a permutation would change nothing)."
)


def shorter(scale: Scale) -> Scale:
    """Reduce the epochs at scale ``cpu``, where two cores train sixteen forms."""
    if scale.name != "cpu":
        return scale
    return dataclasses.replace(scale, training=dataclasses.replace(scale.training, epochs=16))


def shorter_digits(scale: Scale) -> Scale:
    """Do the same for classifiers, and use digits, whose graphs have an eighth of the edges."""
    if scale.name != "cpu":
        return scale
    classifiers = dataclasses.replace(
        scale.classifiers,
        datasets=("digits",),
        accuracy=_with_epochs(scale.classifiers.accuracy, 16),
        pruning=_with_epochs(scale.classifiers.pruning, 8),
    )
    return dataclasses.replace(scale, classifiers=classifiers)


def _with_epochs(search: Search, epochs: int) -> Search:
    return dataclasses.replace(search, training=dataclasses.replace(search.training, epochs=epochs))


def _inr_notes(workspace: Workspace, request: Request) -> list[str]:
    zoos = {dataset: workspace.zoo(request.scale.recipe(dataset)) for dataset in request.datasets}
    return [EXPLAINED, *inr_notes(request), *data_notes(zoos)]


forms = Comparison(
    problem="inr",
    methods=tuple(LABELS),
    metrics=[Metric("accuracy", "Forms of features: INR classification", "test accuracy, percent", "higher", "")],
    notes=_inr_notes,
    labels=LABELS,
    other_dataset_methods=OTHER_DATASET_METHODS,
).experiment("forms", resize=shorter)

forms_long = Comparison(
    problem="inr",
    methods=LONG,
    metrics=[
        Metric(
            "accuracy",
            "Forms of features: INR classification, as long as in table 1",
            "test accuracy, percent",
            "higher",
            "table1_inr_classification_accuracy",
        )
    ],
    notes=_inr_notes,
    labels={name: LABELS[name] for name in LONG},
).experiment("forms-long")


def _on_digits(name: str, problem: Problem, metric: Metric) -> Experiment:
    def notes(workspace: Workspace, request: Request) -> list[str]:
        zoos = classifier_zoos(workspace, request)
        return [EXPLAINED, *classifier_training_notes(request, problem), *data_notes(zoos)]

    return Comparison(
        problem=problem,
        methods=tuple(LABELS),
        metrics=[metric],
        notes=notes,
        labels=LABELS,
        other_dataset_methods=RAW_AND_BEST,
    ).experiment(name, resize=shorter_digits)


forms_accuracy = _on_digits(
    "forms-accuracy",
    "accuracy",
    Metric("r2", "Forms of features: accuracy prediction", "test R² x 100", "higher", "", 1e2, 2),
)
forms_pruning = _on_digits(
    "forms-pruning",
    "pruning",
    Metric("auc", "Forms of features: pruning masks", "test ROC-AUC, percent", "higher", "", decimals=2),
)
