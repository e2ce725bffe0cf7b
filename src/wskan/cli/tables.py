"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def print_scores(records: Mapping[str, Mapping[str, Any]], title: str | None = None) -> None:
    """One row a model: parameters, validation and test metrics, training time."""
    from rich.console import Console
    from rich.table import Table

    metrics = [name for name in next(iter(records.values()))["test"] if name != "loss"]
    table = Table(title=title)
    for column in (
        "model",
        "parameters",
        *(f"{split} {name}" for name in metrics for split in ("val", "test")),
        "epochs",
        "seconds",
    ):
        table.add_column(column, justify="left" if column == "model" else "right")
    for name, record in records.items():
        scores = [f"{record[split][metric]:.4g}" for metric in metrics for split in ("val", "test")]
        table.add_row(
            name, f"{record['parameters']:,}", *scores, str(record["epochs"]), f"{record['train_seconds']:,.0f}"
        )
    Console().print(table)
