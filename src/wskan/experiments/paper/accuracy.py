"""Accuracy prediction: tables 3, 7 and 8 (paper, sections 5.2 and C.4)."""

from __future__ import annotations

from wskan.experiments.engine.comparison import Metric
from wskan.experiments.paper.classifiers import CLASSIFIER_METHODS, FULL_ACCURACY, on_classifiers
from wskan.experiments.paper.inr_classification import ABLATIONS


def _accuracy(mse: str, r2: str, paper_mse: str, paper_r2: str) -> list[Metric]:
    return [
        Metric("mse", f"{mse}: mean squared error", "test MSE x 1000", "lower", paper_mse, 1e3, 2),
        Metric("r2", f"{r2}: R²", "test R² x 100", "higher", paper_r2, 1e2, 2),
        Metric("kendall", f"Kendall's tau for {mse[0].lower()}{mse[1:]}", "test tau x 100", "higher", "", 1e2, 2),
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
    reuses_runs_of=table3,
)
