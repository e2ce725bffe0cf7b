"""Tables as text: Markdown for files, rich tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Callable

from rich.table import Table as RichTable

from wskan.experiments.engine.table import Cell, Table
from wskan.printing import markup


def to_markdown(table: Table) -> str:
    """Return a Markdown page: ours first, the paper's numbers in brackets, the best of each column in bold."""
    about = {name: column for name, of in ABOUT.items() if any(column := [of(table, row) for row in table.rows])}
    lines = [f"# {table.title}", "", _heading(table), ""]
    lines.append("| | " + " | ".join([*about, *table.columns.values()]) + " |")
    lines.append("| --- |" + " ---: |" * (len(about) + len(table.columns)))
    for index, (row, label) in enumerate(table.rows.items()):
        texts = [column[index] for column in about.values()]
        texts += [cell_text(table, row, column) for column in table.columns]
        lines.append(f"| {label} | " + " | ".join(texts) + " |")
    return "\n".join([*lines, "", *(f"- {note}" for note in table.notes)]) + "\n"


def to_rich(table: Table) -> RichTable:
    """Return a table to print on a terminal."""
    paper = "; in brackets the paper's" if table.has_paper else ""
    printed = RichTable(title=markup(f"{table.title} ({table.unit}{paper})"))
    printed.add_column("")
    for label in table.columns.values():
        printed.add_column(markup(label), justify="right")
    for row, label in table.rows.items():
        texts = (cell_text(table, row, column).replace("**", "") for column in table.columns)
        printed.add_row(markup(label), *texts)
    return printed


def cell_text(table: Table, row: str, column: str) -> str:
    """Return the text of a cell, in bold if it is the best of its column."""
    cell = table.cells.get((row, column))
    if cell is None:
        return ""
    ours = f"{cell.mean:.3g}" if cell.mean < 10 else f"{cell.mean:.{table.decimals}f}"
    if len(cell.values) > 1:
        ours += f" ± {_deviation(table, cell)}"
    elif _has_fewer_seeds(table, cell):
        ours += " (one seed)"
    if _is_first(table, row, column):
        ours = f"**{ours}**"
    if cell.paper is None:
        return ours
    mean, std = cell.paper
    return f"{ours} ({mean:g}" + (f" ± {std:g})" if std else ")")


def _heading(table: Table) -> str:
    better = "" if table.better == "neither" else f"; {table.better} is better"
    parts = [f"mean ± standard deviation over {table.over}"] if table.over else []
    parts += ["in brackets the paper's"] if table.has_paper else []
    text = "; ".join(parts)
    return f"{table.unit}{better}." + (f" {text[0].upper()}{text[1:]}." if parts else "")


def _reads(table: Table, row: str) -> str:
    return (table.reads or {}).get(row, "")


def _parameters(table: Table, row: str) -> str:
    cells = [cell for (r, _), cell in table.cells.items() if r == row]
    counts = {cell.facts["parameters"] for cell in cells if "parameters" in cell.facts}
    return "" if not counts else f"{min(counts):,}" + (f" to {max(counts):,}" if len(counts) > 1 else "")


ABOUT: dict[str, Callable[[Table, str], str]] = {"reads": _reads, "parameters": _parameters}
"""Columns about the rows themselves, by heading."""


def _deviation(table: Table, cell: Cell) -> str:
    """Return two digits of the standard deviation, but none beyond those of the mean."""
    size = abs(cell.mean)
    digits = table.decimals if size >= 10 else 2 - math.floor(math.log10(size)) if size else 2
    if cell.std >= 99.5:
        return f"{cell.std:.0f}"
    if cell.std >= 0.995 * 10 ** (1 - digits) or not cell.std:
        return f"{cell.std:.2g}"
    return f"{cell.std:.{digits}f}" if round(cell.std, digits) else f"<{10**-digits:g}"


def _has_fewer_seeds(table: Table, cell: Cell) -> bool:
    """Return whether a cell has one seed only, in a table of means over seeds."""
    seeds = cell.facts.get("seeds", cell.facts.get("runs", ()))
    return table.over == "seeds" and len(table.cells) > 1 and len(seeds) == 1


def _is_first(table: Table, row: str, column: str) -> bool:
    if table.better == "neither":
        return False
    group = None if table.groups is None else table.groups[row]
    rivals = sum(table.groups is None or table.groups[other] == group for other in table.rows)
    return rivals > 1 and table.first(column, group) == row
