"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def print_scores(records: Mapping[str, Mapping[str, Any]], title: str | None = None) -> None:
    """One row a model: parameters, validation and test metrics, training time."""
    from rich.console import Console
    from rich.table import Table

    first = next(iter(records.values()))
    table = Table(title=title)
    for column in (
        "model",
        "parameters",
        *(f"{split} {name}" for split in ("val", "test") for name in first["test"]),
        "epochs",
        "training",
    ):
        table.add_column(column, justify="left" if column == "model" else "right")
    for name, record in records.items():
        scores = [f"{value:.4g}" for split in ("val", "test") for value in record[split].values()]
        table.add_row(
            name, f"{record['parameters']:,}", *scores, str(record["epochs"]), f"{record['train_seconds']:,.0f} s"
        )
    Console().print(table)
