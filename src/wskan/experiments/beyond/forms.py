"""Beyond the paper: which description of a KAN is learned from best."""

from __future__ import annotations

import dataclasses

from wskan.experiments.engine.classifier_scale import Problem, Search
from wskan.experiments.engine.classifier_zoos import classifier_zoos
from wskan.experiments.engine.comparison import Metric, comparison, data_notes
from wskan.experiments.engine.experiment import Experiment, Request
from wskan.experiments.engine.methods import FORMS_OF_FEATURES, SYMMETRIC, form_label, form_name
from wskan.experiments.engine.notes import classifier_training_notes, inr_notes
from wskan.experiments.engine.scale import Scale
from wskan.experiments.engine.workspace import Workspace
from wskan.graph import FeatureConfig

LABELS = {name: form_label(features, augment) for name, (features, augment) in FORMS_OF_FEATURES.items()}
RAW_AND_BEST = tuple(dict.fromkeys(["ws_kan", form_name(FeatureConfig())]))
"""Eq. 5, and what the library takes unless told otherwise."""
ELSEWHERE = (*RAW_AND_BEST, form_name(FeatureConfig(), SYMMETRIC), "gauge_knots")
"""On other data sets than MNIST: these, the best of all on its validation KANs, and the best that knows the parametrisation."""
LONG = ELSEWHERE[:3]
"""With the epochs of the paper's tables: eq. 5 is their WS-KAN, and its runs are table 1's."""

EXPLAINED = (
    "WS-KAN reads raw: eq. 5; folded: the spline weight in the coefficients; gauge: folded, the mean of the coefficients in a bias of the neuron, signs fixed; function: values and slopes at 12 points. "
    "Knots: each neuron also has those of its grid. Symmetries: each training KAN is scaled, sign-flipped and moved by 1 % noise, anew each time (a permutation would change nothing)."
)


def shorter(scale: Scale) -> Scale:
    """Where two cores have to train sixteen forms, fewer epochs than the paper's tables."""
    if scale.name != "cpu":
        return scale
    return dataclasses.replace(scale, training=dataclasses.replace(scale.training, epochs=16))


def shorter_digits(scale: Scale) -> Scale:
    """The same for classifiers: of digits, whose graphs have an eighth of the edges."""
    if scale.name != "cpu":
        return scale

    def search(search: Search, epochs: int) -> Search:
        return dataclasses.replace(search, training=dataclasses.replace(search.training, epochs=epochs))

    classifiers = dataclasses.replace(
        scale.classifiers,
        datasets=("digits",),
        accuracy=search(scale.classifiers.accuracy, 16),
        pruning=search(scale.classifiers.pruning, 8),
    )
    return dataclasses.replace(scale, classifiers=classifiers)


def _inr_notes(workspace: Workspace, request: Request) -> list[str]:
    zoos = {dataset: workspace.zoo(request.scale.recipe(dataset)) for dataset in request.datasets}
    return [EXPLAINED, *inr_notes(request), *data_notes(zoos)]


forms = comparison(
    "forms",
    "inr",
    tuple(LABELS),
    [Metric("accuracy", "Forms of features: INR classification", "test accuracy, percent", "higher", "")],
    _inr_notes,
    labels=LABELS,
    elsewhere=ELSEWHERE,
    resize=shorter,
)

forms_long = comparison(
    "forms-long",
    "inr",
    LONG,
    [
        Metric(
            "accuracy",
            "Forms of features: INR classification, as long as in table 1",
            "test accuracy, percent",
            "higher",
            "table1_inr_classification_accuracy",
        )
    ],
    _inr_notes,
    labels={name: LABELS[name] for name in LONG},
)


def _on_digits(name: str, problem: Problem, metric: Metric) -> Experiment:
    def notes(workspace: Workspace, request: Request) -> list[str]:
        return [
            EXPLAINED,
            *classifier_training_notes(request, problem),
            *data_notes(classifier_zoos(workspace, request)),
        ]

    return comparison(
        name, problem, tuple(LABELS), [metric], notes, labels=LABELS, elsewhere=RAW_AND_BEST, resize=shorter_digits
    )


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
