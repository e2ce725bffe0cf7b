"""Tables 3, 4 and 7 to 10: accuracy and pruning masks of classifiers (paper, sections 5.2 and 5.3, C.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wskan.experiments.classifier_scale import Problem
from wskan.experiments.comparison import Metric, comparison, data_notes
from wskan.experiments.experiment import Experiment, Request
from wskan.experiments.tables_1_6 import ABLATIONS
from wskan.experiments.workspace import Workspace
from wskan.zoo import Recipe, Zoo

CLASSIFIER_METHODS = ("mlp", "mlp_aug", "mlp_align", "dmc", "deepsets", "ws_kan")
"""The paper leaves out the SetTransformer, which attends between all of 26,432 edges."""
FULL_ACCURACY = (*CLASSIFIER_METHODS[:-1], "weights", "probes")
FULL_PRUNING = (*FULL_ACCURACY, "scores")
"""At scale ``full``: WS-KAN that reads weights, is shown activations, or learns scores and not masks."""


def on_classifiers(
    name: str,
    problem: Problem,
    methods: Sequence[str],
    metrics: Sequence[Metric],
    shares: Experiment | None = None,
    full: Sequence[str] | None = None,
) -> Experiment:
    """Test scores of methods on zoos of classifiers."""

    def notes(workspace: Workspace, request: Request) -> list[str]:
        return [*protocol_notes(request, problem), *classifier_notes(zoos(workspace, request))]

    untrained = problem == "pruning" and full is not None
    return comparison(name, problem, methods, metrics, notes, shares=shares, full=full, untrained=untrained)


def recipes(request: Request) -> list[Recipe]:
    """Zoos of classifiers."""
    return [request.scale.classifiers.recipe(dataset) for dataset in request.datasets]


def zoos(workspace: Workspace, request: Request) -> dict[str, Zoo]:
    """The same, built where they are missing."""
    return {
        dataset: workspace.zoo(recipe, progress=True)
        for dataset, recipe in zip(request.datasets, recipes(request), strict=True)
    }


def classifier_notes(zoos: Mapping[str, Zoo]) -> list[str]:
    """What is unusual about the data of zoos, and how much the oracle keeps."""
    notes = []
    for dataset, zoo in zoos.items():
        notes += data_notes({dataset: zoo})
        notes.append(f"{dataset}: the oracle keeps {100 * zoo.info()['kept_mean']:.1f} % of the edges.")
    return notes


def protocol_notes(request: Request, problem: Problem) -> list[str]:
    """How the models were trained, and how that differs from the paper."""
    scale = request.scale.classifiers
    search, (train, val, test) = scale.search(problem), scale.counts
    choice = (
        f"hidden dimension {' or '.join(map(str, search.hidden))}, {' or '.join(map(str, search.num_layers))} layers, "
        f"learning rate {' or '.join(f'{rate:g}' for rate in search.rates)}"
    )
    paper = "128 or 32, 4 or 1, 0.001, 0.005 or 0.0001, 100 epochs" if problem == "accuracy" else "128, 4, 0.001 or 0.0001, 15 epochs"  # fmt: skip
    return [
        f"{train:,} training, {val:,} validation and {test:,} test KANs a data set; {choice}{'' if ' or ' not in choice else ' (by validation)'}; batches of "
        f"{search.training.batch_size}, {search.training.epochs} epochs; gradients clipped at norm {search.training.gradient_clip:g}; the epoch with the best validation score counts. "
        f"The paper: 3,000, 500 and 500; {paper}, batches of 32; it names no clipping."
    ]


def _accuracy(mse: str, r2: str, paper_mse: str, paper_r2: str) -> list[Metric]:
    return [
        Metric("mse", f"{mse}: mean squared error", "test MSE x 1000", "lower", paper_mse, 1e3, 2),
        Metric("r2", f"{r2}: R²", "test R² x 100", "higher", paper_r2, 1e2, 2),
        Metric("kendall", f"Kendall's tau, beside {mse[0].lower()}{mse[1:]}", "test tau x 100", "higher", "", 1e2, 2),
    ]


def _pruning(accuracy: str, auc: str, paper_accuracy: str, paper_auc: str) -> list[Metric]:
    return [
        Metric("accuracy", f"{accuracy}: accuracy", "percent of test edges", "higher", paper_accuracy, decimals=2),
        Metric("auc", f"{auc}: ROC-AUC", "percent", "higher", paper_auc, decimals=2),
    ]


table3 = on_classifiers(
    "table3",
    "accuracy",
    CLASSIFIER_METHODS,
    _accuracy(
        "Table 3: accuracy prediction",
        "Table 3: accuracy prediction",
        "table3_accuracy_prediction_mse_x1e3",
        "table3_accuracy_prediction_r2_x1e2",
    ),
    full=FULL_ACCURACY,
)
table4 = on_classifiers(
    "table4",
    "pruning",
    CLASSIFIER_METHODS,
    _pruning(
        "Table 4: pruning masks",
        "Table 4: pruning masks",
        "table4_pruning_mask_accuracy",
        "table4_pruning_mask_roc_auc",
    ),
    full=FULL_PRUNING,
)
table7 = on_classifiers(
    "table7",
    "accuracy",
    ABLATIONS,
    _accuracy(
        "Table 7: accuracy prediction, ablation",
        "Table 8: accuracy prediction, ablation",
        "table7_ablation_accuracy_prediction_mse_x1e3",
        "table8_ablation_accuracy_prediction_r2_x1e2",
    ),
    shares=table3,
)
table9 = on_classifiers(
    "table9",
    "pruning",
    ABLATIONS,
    _pruning(
        "Table 9: pruning masks, ablation",
        "Table 10: pruning masks, ablation",
        "table9_ablation_pruning_accuracy",
        "table10_ablation_pruning_auc",
    ),
    shares=table4,
)
