"""A table of ours beside the paper's: as data, as Markdown, as a picture."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from wskan.errors import DataError
from wskan.pictures import new_figure, save_figure


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """One figure.

    Attributes:
        values: of each seed.
        paper: mean and standard deviation in the paper, or None if it gives none.
        facts: what else is worth knowing: learning rate, parameters, validation score, seconds.
    """

    values: tuple[float, ...]
    paper: tuple[float, float] | None = None
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def mean(self) -> float:
        """Over seeds."""
        return statistics.fmean(self.values)

    @property
    def std(self) -> float:
        """Over seeds (of a sample); 0 for one seed."""
        return statistics.stdev(self.values) if len(self.values) > 1 else 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """Rows by columns of cells, some of which may be absent.

    Attributes:
        title: what it shows.
        unit: of the figures.
        better: which way is better.
        rows, columns: key to label.
        cells: by row and column.
        notes: what a reader has to know.
        kind: how it is drawn: ``"bars"`` in groups, or ``"lines"`` over columns that are numbers.
        log: whether the axis is logarithmic.
        axis: what the columns are, for ``"lines"``.
        groups: group of each row whose figures may be compared; None if all may.
        over: what the mean is taken over.
    """

    title: str
    unit: str
    better: Literal["higher", "lower"]
    rows: Mapping[str, str]
    columns: Mapping[str, str]
    cells: Mapping[tuple[str, str], Cell]
    notes: Sequence[str] = ()
    kind: Literal["bars", "lines"] = "bars"
    log: bool = False
    axis: str = ""
    groups: Mapping[str, str] | None = None
    over: str = "seeds"

    def first(self, column: str, group: str | None = None) -> str | None:
        """The best row of a column (of a group), by the mean."""
        found = {
            row: cell.mean
            for (row, c), cell in self.cells.items()
            if c == column and (self.groups is None or self.groups[row] == group)
        }
        return (max if self.better == "higher" else min)(found, key=lambda row: found[row]) if found else None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        cells: dict[str, dict[str, Any]] = {column: {} for column in self.columns}
        for (row, column), cell in self.cells.items():
            numbers = {
                "mean": cell.mean,
                "std": cell.std,
                "values": list(cell.values),
            }
            cells[column][row] = {**numbers, "paper": cell.paper, **cell.facts}
        labels = {"rows": dict(self.rows), "columns": dict(self.columns)}
        return {
            "title": self.title,
            "unit": self.unit,
            "better": self.better,
            "labels": labels,
            "cells": cells,
            "notes": list(self.notes),
        }

    def gather(self, earlier: Mapping[str, Any]) -> Table:
        """With the cells of an earlier table of the same protocol, as :meth:`to_dict` gave it, that this one has not: data sets may be done one at a time.

        Raises:
            DataError: it is no such table.
        """
        cells = dict(self.cells)
        try:
            for column, rows in earlier["cells"].items():
                for row, data in rows.items():
                    facts = {
                        name: value for name, value in data.items() if name not in ("mean", "std", "values", "paper")
                    }
                    paper = None if data["paper"] is None else (float(data["paper"][0]), float(data["paper"][1]))
                    cells.setdefault(
                        (row, column), Cell(values=tuple(map(float, data["values"])), paper=paper, facts=facts)
                    )
            notes = list(dict.fromkeys([*self.notes, *map(str, earlier["notes"])]))
            labels = {axis: {**earlier["labels"][axis], **getattr(self, axis)} for axis in ("rows", "columns")}
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise DataError(f"not a table: {type(error).__name__} {error}") from error
        order = [column for column in labels["columns"] if any(c == column for _, c in cells)]
        columns = {column: labels["columns"][column] for column in order}
        return dataclasses.replace(self, cells=cells, rows=labels["rows"], columns=columns, notes=notes)

    def to_markdown(self) -> str:
        """Ours first, the paper's in brackets; the best of each column in bold."""
        parameters = {row: self._parameters(row) for row in self.rows}
        lines = [
            f"# {self.title}",
            "",
            f"{self.unit}; {self.better} is better. Mean ± standard deviation over {self.over}; in brackets the paper's.",
            "",
        ]
        more = ["parameters"] if any(parameters.values()) else []
        lines.append("| | " + " | ".join([*more, *self.columns.values()]) + " |")
        lines.append("| --- |" + " ---: |" * (len(more) + len(self.columns)))
        for row, label in self.rows.items():
            texts = [*([parameters[row]] if more else []), *(self.text(row, column) for column in self.columns)]
            lines.append(f"| {label} | " + " | ".join(texts) + " |")
        return "\n".join([*lines, "", *(f"- {note}" for note in self.notes)]) + "\n"

    def _parameters(self, row: str) -> str:
        counts = {
            cell.facts["parameters"] for (r, _), cell in self.cells.items() if r == row and "parameters" in cell.facts
        }
        return "" if not counts else f"{min(counts):,}" + (f" to {max(counts):,}" if len(counts) > 1 else "")

    def text(self, row: str, column: str) -> str:
        """A cell in words, the best of its column in bold."""
        cell = self.cells.get((row, column))
        if cell is None:
            return ""
        ours = f"{cell.mean:.3g}" if cell.mean < 10 else f"{cell.mean:.1f}"
        ours += f" ± {cell.std:.2g}" if len(cell.values) > 1 else " (one seed)" if len(self.cells) > 1 else ""
        ours = f"**{ours}**" if self._is_first(row, column) else ours
        return ours if cell.paper is None else f"{ours} ({cell.paper[0]:g} ± {cell.paper[1]:g})"

    def _is_first(self, row: str, column: str) -> bool:
        group = None if self.groups is None else self.groups[row]
        rivals = sum(self.groups is None or self.groups[other] == group for other in self.rows)
        return rivals > 1 and self.first(column, group) == row

    def draw(self, path: Path) -> None:
        """Ours in colour, the paper's in grey."""
        figure = new_figure(max(5.0, 2.6 * len(self.columns)) + 2.2, 4.2)
        axis = figure.subplots()
        (self._bars if self.kind == "bars" else self._lines)(axis)
        axis.set_ylabel(self.unit)
        axis.set_title(self.title, fontsize=10)
        if self.log:
            axis.set_yscale("log")
        else:
            axis.set_ylim(bottom=0)
        figure.legend(loc="outside right upper", fontsize=8, frameon=False)
        save_figure(figure, path)

    def _bars(self, axis: Any) -> None:
        rows, width = list(self.rows), 0.8 / len(self.rows)
        paper_shown = False
        for number, row in enumerate(rows):
            places = [(i, cell) for i, column in enumerate(self.columns) if (cell := self.cells.get((row, column)))]
            x = [i - 0.4 + width * (number + 0.5) for i, _ in places]
            axis.bar(x, [c.mean for _, c in places], width * 0.9, yerr=[c.std for _, c in places], label=self.rows[row])
            known = [(at, cell.paper[0]) for at, (_, cell) in zip(x, places, strict=True) if cell.paper]
            if known:
                axis.scatter(*zip(*known, strict=True), marker="_", s=2600 * width / len(self.columns), color="black", label=None if paper_shown else "paper")  # fmt: skip
                paper_shown = True
        axis.set_xticks(range(len(self.columns)), list(self.columns.values()))

    def _lines(self, axis: Any) -> None:
        for number, row in enumerate(self.rows):
            known = [(float(column), cell) for column in self.columns if (cell := self.cells.get((row, column)))]
            color = f"C{number}"
            x = [at for at, _ in known]
            axis.errorbar(x, [c.mean for _, c in known], [c.std for _, c in known], marker="o", color=color, capsize=3, label=self.rows[row])  # fmt: skip
            paper = [(at, *cell.paper) for at, cell in known if cell.paper]
            if paper:
                axis.errorbar(*zip(*paper, strict=True), linestyle=":", color=color, alpha=0.6, capsize=3, label=f"{self.rows[row]}, paper")  # fmt: skip
        axis.set_xlabel(self.axis)
        axis.set_xticks([float(column) for column in self.columns], list(self.columns))


def paper_cell(table: str, row: str, column: str) -> tuple[float, float] | None:
    """Mean and standard deviation in the paper, from ``paper.json``."""
    data = json.loads(resources.files("wskan.experiments").joinpath("paper.json").read_text())[table]
    if row not in data or column not in data["columns"]:
        return None
    mean, std = data[row][data["columns"].index(column)]
    return mean, std
