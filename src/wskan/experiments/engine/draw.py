"""Tables as pictures: ours in colour, the paper's in black."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wskan.experiments.engine.table import Table
from wskan.plotting.figure import new_figure, save_figure


def draw_tables(tables: Sequence[Table], path: Path, *, across: int = 3) -> None:
    """One panel a table, so many side by side."""
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
    """One each; of more than ten, neighbours share a hue."""
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
        if table.kind == "bars":  # which would begin at the lowest of them
            axis.set_ylim(bottom=10.0 ** math.floor(math.log10(_lowest(table) / 2)))
    elif axis.get_ylim()[0] > 0 and not _alike(table):
        axis.set_ylim(bottom=0)


def _figures(table: Table) -> list[float]:
    """Ours and the paper's."""
    return [figure for cell in table.cells.values() for figure in (cell.mean, *(cell.paper or ())[:1])]


def _lowest(table: Table) -> float:
    """The smallest figure above zero."""
    return min((figure for figure in _figures(table) if figure > 0), default=1.0)


def _alike(table: Table) -> bool:
    """Whether it is one of bars that would all look the same from zero: points then, on an axis that begins near the lowest."""
    figures = _figures(table)
    return table.kind == "bars" and not table.log and min(figures) > 0.75 * max(figures)


def _bars(axis: Any, table: Table, colors: Mapping[str, Any]) -> None:
    """In each column those rows that it has, side by side around its middle."""
    present = [[row for row in table.rows if (row, column) in table.cells] for column in table.columns]
    width = 0.8 / max(map(len, present))
    points, paper_shown = _alike(table), False
    for row, label in table.rows.items():
        places = [
            (i + width * (rows.index(row) - (len(rows) - 1) / 2), table.cells[row, column])
            for i, (column, rows) in enumerate(zip(table.columns, present, strict=True))
            if row in rows
        ]
        if not places:
            continue
        x, cells = zip(*places, strict=True)
        y, spread, color = [c.mean for c in cells], [c.std for c in cells], colors[label]
        if points:
            axis.errorbar(x, y, spread, fmt="o", capsize=3, color=color, label=label)
        else:
            axis.bar(x, y, width * 0.9, yerr=spread, color=color, label=label)
        known = [(at, cell.paper[0]) for at, cell in places if cell.paper]
        if known:
            axis.scatter(*zip(*known, strict=True), marker="_", s=2600 * width / len(table.columns), color="black", label=None if paper_shown else "paper")  # fmt: skip
            paper_shown = True
    axis.set_xticks(range(len(table.columns)), list(table.columns.values()))


def _lines(axis: Any, table: Table, colors: Mapping[str, Any]) -> None:
    for row in table.rows:
        known = [(float(column), cell) for column in table.columns if (cell := table.cells.get((row, column)))]
        color = colors[table.rows[row]]
        x = [at for at, _ in known]
        axis.errorbar(x, [c.mean for _, c in known], [c.std for _, c in known], marker="o", color=color, capsize=3, label=table.rows[row])  # fmt: skip
        paper = [(at, *cell.paper) for at, cell in known if cell.paper]
        if paper:
            axis.errorbar(*zip(*paper, strict=True), linestyle=":", color=color, alpha=0.6, capsize=3, label=f"{table.rows[row]}, paper")  # fmt: skip
    axis.set_xlabel(table.axis)
    if table.log_columns:
        axis.set_xscale("log")
        axis.minorticks_off()
    axis.set_xticks([float(column) for column in table.columns], list(table.columns.values()))
