"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def print_scores(records: Mapping[str, Mapping[str, Any]], title: str | None = None) -> None:
    """Print validation and test metrics, parameters, epochs and training time, one column per model."""
    from rich.console import Console
    from rich.table import Table

    from wskan.printing import markup

    metrics = [name for name in next(iter(records.values()))["test"] if name != "loss"]
    table = Table("", title=title)
    for name in records:
        table.add_column(markup(name), justify="right")
    for metric in metrics:
        for split in ("val", "test"):
            table.add_row(markup(f"{split} {metric}"), *(f"{record[split][metric]:.4g}" for record in records.values()))
    for name, key in (("parameters", "parameters"), ("epochs", "epochs"), ("seconds", "train_seconds")):
        table.add_row(name, *(f"{record[key]:,.0f}" for record in records.values()))
    Console().print(table)
