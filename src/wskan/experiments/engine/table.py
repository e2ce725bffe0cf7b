"""Tables of our numbers and the paper's: their data, how tables of one protocol merge, and their JSON."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Literal

from wskan.errors import DataError
from wskan.experiments.engine.earlier_words import current_name, current_text
from wskan.reading import check, mapping, number, shown, whole

PER_RUN = ("val", "train_seconds", "seeds", "runs")  # facts that are lists, one entry per value
STYLE = ("kind", "log", "log_columns", "axis", "over", "decimals")  # fields about how a table is shown
STYLES = {"kind": str, "log": bool, "log_columns": bool, "axis": str, "over": str, "decimals": int}
FACTS = {"val": [float], "train_seconds": [float], "seeds": [int], "runs": [str], "parameters": int}
SHAPE = {
    "title": str, "unit": str, "better": str, "labels": {"rows": {str: str}, "columns": {str: str}}, "notes": [str],
    "cells": {str: {str: {"values": [float], "paper": object, str: object}}}, str: object,
}  # fmt: skip
LARGEST = 1e30


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """A number of a table.

    Attributes:
        values: one value per seed.
        paper: mean and standard deviation in the paper, or None if it gives none.
        facts: details such as learning rate, parameters, validation scores and seconds.
    """

    values: tuple[float, ...]
    paper: tuple[float, float] | None = None
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def mean(self) -> float:
        """Return the mean over seeds."""
        return statistics.fmean(self.values)

    @property
    def std(self) -> float:
        """Return the standard deviation over seeds (of a sample); 0 for one seed."""
        return statistics.stdev(self.values) if len(self.values) > 1 else 0.0

    def merge(self, earlier: Cell) -> Cell:
        """Add the runs of an earlier cell with the same settings, in the order of their names.

        Of a run in both cells, this cell's values are kept.
        """
        if not self.facts.get("runs") or self._settings != earlier._settings:
            return self
        lists = {name: [*self.facts[name], *earlier.facts[name]] for name in PER_RUN if name in self.facts}
        positions: dict[str, int] = {}
        for position, run in enumerate(lists["runs"]):
            positions.setdefault(run, position)
        order = [positions[run] for run in sorted(positions)]
        values = (*self.values, *earlier.values)
        facts = {name: [entries[i] for i in order] for name, entries in lists.items()}
        return dataclasses.replace(self, values=tuple(values[i] for i in order), facts={**self.facts, **facts})

    @property
    def _settings(self) -> list[Any]:
        """Return what cells must share to merge, such as names of runs up to the seed."""
        lists = {name: len(self.facts[name]) == len(self.values) for name in PER_RUN if name in self.facts}
        others = {name: fact for name, fact in self.facts.items() if name not in PER_RUN}
        return [lists, others, self.paper, {run.split("-seed")[0] for run in self.facts.get("runs", ())}]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """A table of cells by row and column, some of which may be absent.

    Attributes:
        title: title, which also identifies the table in a result file.
        unit: unit of the numbers.
        better: the better direction, if any.
        rows: labels of the rows by key.
        columns: labels of the columns by key.
        cells: cells by row and column.
        notes: notes for the reader.
        kind: type of the picture: ``"bars"`` in groups, or ``"lines"`` over columns that are numbers.
        log: whether the axis of the numbers is logarithmic.
        log_columns: whether the axis of the columns is logarithmic.
        axis: label of the axis of the columns, for ``"lines"``.
        groups: group of each row; only rows of a group are compared. None if all rows are.
        over: what the mean is taken over; empty for single numbers.
        decimals: decimals of numbers of at least 10.
        reads: what each row learns from, if that is shown: weights, activations or outputs.
    """

    title: str
    unit: str
    better: Literal["higher", "lower", "neither"]
    rows: Mapping[str, str]
    columns: Mapping[str, str]
    cells: Mapping[tuple[str, str], Cell]
    notes: Sequence[str] = ()
    kind: Literal["bars", "lines"] = "bars"
    log: bool = False
    log_columns: bool = False
    axis: str = ""
    groups: Mapping[str, str] | None = None
    over: str = "seeds"
    decimals: int = 1
    reads: Mapping[str, str] | None = None

    @property
    def has_paper(self) -> bool:
        """Return whether the paper gives any of the numbers."""
        return any(cell.paper is not None for cell in self.cells.values())

    def first(self, column: str, group: str | None = None) -> str | None:
        """Return the best row of a column (and group) by the mean; None if it is empty or all rows are equal."""
        means = {
            row: cell.mean
            for (row, c), cell in self.cells.items()
            if c == column and (self.groups is None or self.groups[row] == group)
        }
        if not means or (len(means) > 1 and len(set(means.values())) == 1):
            return None
        return (max if self.better == "higher" else min)(means, key=lambda row: means[row])

    def merge(self, earlier: Table) -> Table:
        """Add the cells and runs of an earlier table of the same protocol, for other data sets, seeds or methods."""
        cells = dict(earlier.cells)
        for key, cell in self.cells.items():
            cells[key] = cell.merge(cells[key]) if key in cells else cell
        columns = {**earlier.columns, **self.columns}
        return dataclasses.replace(
            self,
            cells=cells,
            rows={**earlier.rows, **self.rows},
            groups=None if self.groups is None else {**(earlier.groups or {}), **self.groups},
            reads=None if self.reads is None else {**(earlier.reads or {}), **self.reads},
            columns={column: label for column, label in columns.items() if any(c == column for _, c in cells)},
            notes=list(dict.fromkeys([*self.notes, *earlier.notes])),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        cells: dict[str, dict[str, Any]] = {column: {} for column in self.columns}
        for (row, column), cell in self.cells.items():
            numbers = {"mean": cell.mean, "std": cell.std, "values": list(cell.values)}
            cells[column][row] = {**numbers, "paper": cell.paper, **cell.facts}
        style: dict[str, Any] = {name: getattr(self, name) for name in STYLE}
        style["groups"] = None if self.groups is None else dict(self.groups)
        if self.reads is not None:
            style["reads"] = dict(self.reads)
        return {
            "title": self.title,
            "unit": self.unit,
            "better": self.better,
            "labels": {"rows": dict(self.rows), "columns": dict(self.columns)},
            "cells": cells,
            "notes": list(self.notes),
            "style": style,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Table:
        """Build a table from the output of :meth:`to_dict`, also of an earlier version.

        Raises:
            DataError: if it is not such a table.
        """
        check(data, SHAPE, "not a table: it")
        rows, columns = data["labels"]["rows"], data["labels"]["columns"]
        style = dict(mapping(data.get("style", {}), "style"))
        for name in ("groups", "reads"):
            if style.get(name) is not None:
                check(style[name], {**dict.fromkeys(rows, str), str: str}, f"not a table: {name}")
        check(style, {**{name: STYLES[name] for name in style if name in STYLES}, str: object}, "not a table: style")
        if data["better"] not in ("higher", "lower", "neither") or style.get("kind", "bars") not in ("bars", "lines"):
            raise DataError(f"not a table: better is {shown(data['better'])}, kind {shown(style.get('kind'))}")
        whole(style.get("decimals", 1), "not a table: decimals", 0, 10)
        cells: dict[tuple[str, str], Cell] = {}
        for column, cells_by_row in data["cells"].items():
            for row, cell in cells_by_row.items():
                if row not in rows or column not in columns:
                    raise DataError(f"not a table: no label for {shown(row)} and {shown(column)}")
                cells[current_name(row), column] = _read_cell(cell, f"not a table: {row:.50}, {column:.50}")
        for name in ("groups", "reads"):
            if style.get(name) is not None:
                style[name] = {current_name(row): current_name(value) for row, value in style[name].items()}
        return cls(
            title=current_text(data["title"]),
            unit=data["unit"],
            better=data["better"],
            rows={current_name(row): label for row, label in rows.items()},
            columns=columns,
            cells=cells,
            notes=[current_text(note) for note in data["notes"]],
            **{name: value for name, value in style.items() if name in (*STYLE, "groups", "reads")},
        )


def _read_cell(data: Mapping[str, Any], name: str) -> Cell:
    facts = {key: value for key, value in data.items() if key not in ("mean", "std", "values", "paper")}
    check(facts, {**{key: FACTS[key] for key in facts if key in FACTS}, str: object}, name)
    if data["paper"] is not None:
        check(data["paper"], (float, float), f"{name}, paper")
    paper = None if data["paper"] is None else tuple(data["paper"])
    for value in (*data["values"], *(paper or ())):
        number(value, name, -LARGEST, LARGEST)
    if not data["values"]:
        raise DataError(f"{name}: no values")
    return Cell(values=tuple(map(float, data["values"])), paper=paper, facts=facts)


def paper_cell(table: str, row: str, column: str) -> tuple[float, float] | None:
    """Return the mean and standard deviation in the paper, from ``paper.json``.

    The deviation is 0 if the paper gives none. The result is None if the paper has no such number.
    """
    data = json.loads(resources.files("wskan.experiments.engine").joinpath("paper.json").read_text()).get(table, {})
    if row not in data or column not in data["columns"]:
        return None
    mean, std = data[row][data["columns"].index(column)]
    return mean, std
