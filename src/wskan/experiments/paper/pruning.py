"""Pruning masks: tables 4, 9 and 10 (paper, sections 5.3 and C.4)."""

from __future__ import annotations

from wskan.experiments.engine.comparison import Metric
from wskan.experiments.paper.classifiers import CLASSIFIER_METHODS, FULL_PRUNING, on_classifiers
from wskan.experiments.paper.inr_classification import ABLATIONS


def _pruning(accuracy: str, auc: str, paper_accuracy: str, paper_auc: str) -> list[Metric]:
    return [
        Metric("accuracy", f"{accuracy}: accuracy", "percent of test edges", "higher", paper_accuracy, decimals=2),
        Metric("auc", f"{auc}: ROC-AUC", "percent", "higher", paper_auc, decimals=2),
    ]


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
    reuses_runs_of=table4,
)
