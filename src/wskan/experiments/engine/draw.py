"""Pictures of tables: our numbers in colour, the paper's in black."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wskan.experiments.engine.table import Table
from wskan.plotting.figure import new_figure, save_figure


def draw_tables(tables: Sequence[Table], path: Path, *, across: int = 3) -> None:
    """Draw one panel per table, ``across`` of them in a row."""
    wide = min(across, len(tables))
    widths = [max(5.0, 2.6 * len(table.columns)) if table.kind == "bars" else 5.0 for table in tables[:wide]]
    high = -(-len(tables) // wide)
    figure = new_figure(sum(widths) + 2.2, 4.2 * high)
    axes = figure.subplots(high, wide, squeeze=False, width_ratios=widths).flatten()
    labels = dict.fromkeys(label for table in tables for label in table.rows.values())
    colors = _colors(list(labels))
    for axis, table in zip(axes, tables, strict=False):
        _draw_on(axis, table, colors)
    for axis in axes[len(tables) :]:
        axis.set_visible(False)
    entries: dict[str, Any] = {}
    for axis in axes[: len(tables)]:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    figure.legend(entries.values(), entries.keys(), loc="outside right upper", fontsize=8, frameon=False)
    save_figure(figure, path)


def _colors(labels: Sequence[str]) -> dict[str, Any]:
    """Return a color per label; of more than ten, neighbours share a hue."""
    if len(labels) <= 10:
        return {label: f"C{number}" for number, label in enumerate(labels)}
    from matplotlib import colormaps

    return {label: colormaps["tab20"](number % 20) for number, label in enumerate(labels)}


def _draw_on(axis: Any, table: Table, colors: Mapping[str, Any]) -> None:
    (_bars if table.kind == "bars" else _lines)(axis, table, colors)
    axis.set_ylabel(table.unit)
    axis.set_title(table.title, fontsize=10)
    if table.log:
        axis.set_yscale("log")
        if table.kind == "bars":  # by default the axis begins at the lowest bar
            axis.set_ylim(bottom=10.0 ** math.floor(math.log10(_lowest(table) / 2)))
    elif axis.get_ylim()[0] > 0 and not _bars_nearly_equal(table):
        axis.set_ylim(bottom=0)


def _numbers(table: Table) -> list[float]:
    """Return our means and the paper's."""
    return [number for cell in table.cells.values() for number in (cell.mean, *(cell.paper or ())[:1])]


def _lowest(table: Table) -> float:
    """Return the smallest number above zero."""
    return min((number for number in _numbers(table) if number > 0), default=1.0)


def _bars_nearly_equal(table: Table) -> bool:
    """Return whether all bars would look the same; then points are drawn, on an axis that begins near the lowest."""
    numbers = _numbers(table)
    return table.kind == "bars" and not table.log and min(numbers) > 0.75 * max(numbers)


def _bars(axis: Any, table: Table, colors: Mapping[str, Any]) -> None:
    """Draw the rows of each column side by side around its middle."""
    present = [[row for row in table.rows if (row, column) in table.cells] for column in table.columns]
    width = 0.8 / max(map(len, present))
    points, paper_shown = _bars_nearly_equal(table), False
    for row, label in table.rows.items():
        positions = [
            (i + width * (rows.index(row) - (len(rows) - 1) / 2), table.cells[row, column])
            for i, (column, rows) in enumerate(zip(table.columns, present, strict=True))
            if row in rows
        ]
        if not positions:
            continue
        x, cells = zip(*positions, strict=True)
        y, spread, color = [c.mean for c in cells], [c.std for c in cells], colors[label]
        if points:
            axis.errorbar(x, y, spread, fmt="o", capsize=3, color=color, label=label)
        else:
            axis.bar(x, y, width * 0.9, yerr=spread, color=color, label=label)
        paper = [(at, cell.paper[0]) for at, cell in positions if cell.paper]
        if paper:
            size = 2600 * width / len(table.columns)
            legend = None if paper_shown else "paper"
            axis.scatter(*zip(*paper, strict=True), marker="_", s=size, color="black", label=legend)
            paper_shown = True
    axis.set_xticks(range(len(table.columns)), list(table.columns.values()))


def _lines(axis: Any, table: Table, colors: Mapping[str, Any]) -> None:
    for row, label in table.rows.items():
        columns = [column for column in table.columns if (row, column) in table.cells]
        x, cells = [float(column) for column in columns], [table.cells[row, column] for column in columns]
        style = {"color": colors[label], "capsize": 3}
        axis.errorbar(x, [c.mean for c in cells], [c.std for c in cells], marker="o", label=label, **style)
        paper = [(at, *cell.paper) for at, cell in zip(x, cells, strict=True) if cell.paper]
        if paper:
            axis.errorbar(*zip(*paper, strict=True), linestyle=":", alpha=0.6, label=f"{label}, paper", **style)
    axis.set_xlabel(table.axis)
    if table.log_columns:
        axis.set_xscale("log")
        axis.minorticks_off()
    axis.set_xticks([float(column) for column in table.columns], list(table.columns.values()))
