"""A table of ours beside the paper's: as data and as Markdown."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Literal

from wskan.errors import DataError
from wskan.reading import check, mapping, number, shown, whole

PER_RUN = ("val", "train_seconds", "seeds", "runs")  # facts that are lists beside the values
STYLE = ("kind", "log", "log_columns", "axis", "over", "decimals")  # fields that say how a table is shown
STYLES = {"kind": str, "log": bool, "log_columns": bool, "axis": str, "over": str, "decimals": int}
FACTS = {"val": [float], "train_seconds": [float], "seeds": [int], "runs": [str], "parameters": int}
SHAPE = {
    "title": str, "unit": str, "better": str, "labels": {"rows": {str: str}, "columns": {str: str}}, "notes": [str],
    "cells": {str: {str: {"values": [float], "paper": object, str: object}}}, str: object,
}  # fmt: skip
LARGEST = 1e30


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

    def gather(self, earlier: Cell) -> Cell:
        """With the runs of an earlier cell of the same settings that this one has not: seeds may be done one at a time."""
        if not self.facts.get("runs") or self._settings != earlier._settings:
            return self
        columns = {name: [*self.facts[name], *earlier.facts[name]] for name in PER_RUN if name in self.facts}
        rows = {run: i for i, run in reversed(list(enumerate(columns["runs"])))}  # of one run, the newer
        order = [rows[run] for run in sorted(rows)]
        values = (*self.values, *earlier.values)
        facts = {name: [column[i] for i in order] for name, column in columns.items()}
        return dataclasses.replace(self, values=tuple(values[i] for i in order), facts={**self.facts, **facts})

    @property
    def _settings(self) -> list[Any]:
        """What must be the same for values to be of one cell: facts, and names of runs but for seeds and what follows."""
        lists = {name: len(self.facts[name]) == len(self.values) for name in PER_RUN if name in self.facts}
        others = {name: fact for name, fact in self.facts.items() if name not in PER_RUN}
        return [lists, others, self.paper, {run.split("-seed")[0] for run in self.facts.get("runs", ())}]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """Rows by columns of cells, some of which may be absent.

    Attributes:
        title: what it shows.
        unit: of the figures.
        better: which way is better, if any.
        rows, columns: key to label.
        cells: by row and column.
        notes: what a reader has to know.
        kind: how it is drawn: ``"bars"`` in groups, or ``"lines"`` over columns that are numbers.
        log, log_columns: whether the axis of the figures, of the columns, is logarithmic.
        axis: what the columns are, for ``"lines"``.
        groups: group of each row whose figures may be compared; None if all may.
        over: what the mean is taken over; empty for single figures.
        decimals: of figures of 10 and more.
        reads: what each row learns from, if that is to be shown: weights, or what comes out when a KAN is evaluated.
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

    def first(self, column: str, group: str | None = None) -> str | None:
        """The best row of a column (of a group), by the mean; None if there is none, or if all are alike."""
        found = {
            row: cell.mean
            for (row, c), cell in self.cells.items()
            if c == column and (self.groups is None or self.groups[row] == group)
        }
        if not found or (len(found) > 1 and len(set(found.values())) == 1):
            return None
        return (max if self.better == "higher" else min)(found, key=lambda row: found[row])

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
        groups = None if self.groups is None else dict(self.groups)
        return {
            "title": self.title,
            "unit": self.unit,
            "better": self.better,
            "labels": labels,
            "cells": cells,
            "notes": list(self.notes),
            "style": {name: getattr(self, name) for name in STYLE}
            | {"groups": groups}
            | ({} if self.reads is None else {"reads": dict(self.reads)}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Table:
        """The inverse of :meth:`to_dict`.

        Raises:
            DataError: it is no such table.
        """
        check(data, SHAPE, "not a table: it")
        rows, columns, style = (
            data["labels"]["rows"],
            data["labels"]["columns"],
            dict(mapping(data.get("style", {}), "style")),
        )
        for name in ("groups", "reads"):
            if style.get(name) is not None:
                check(style[name], {**dict.fromkeys(rows, str), str: str}, f"not a table: {name}")
        check(style, {**{name: STYLES[name] for name in style if name in STYLES}, str: object}, "not a table: style")
        if data["better"] not in ("higher", "lower", "neither") or style.get("kind", "bars") not in ("bars", "lines"):
            raise DataError(f"not a table: better is {shown(data['better'])}, kind {shown(style.get('kind'))}")
        whole(style.get("decimals", 1), "not a table: decimals", 0, 10)
        cells: dict[tuple[str, str], Cell] = {}
        for column, found in data["cells"].items():
            for row, cell in found.items():
                if row not in rows or column not in columns:
                    raise DataError(f"not a table: no label for {shown(row)} and {shown(column)}")
                cells[row, column] = _cell(cell, f"not a table: {row:.50}, {column:.50}")
        return cls(
            title=data["title"],
            unit=data["unit"],
            better=data["better"],
            rows=rows,
            columns=columns,
            cells=cells,
            notes=data["notes"],
            **{name: value for name, value in style.items() if name in (*STYLE, "groups", "reads")},
        )

    def gather(self, earlier: Table) -> Table:
        """With the cells and runs of an earlier table of the same protocol that this one has not: data sets and seeds may be done one at a time."""
        cells = dict(earlier.cells)
        for at, cell in self.cells.items():
            cells[at] = cell.gather(cells[at]) if at in cells else cell
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

    def to_markdown(self) -> str:
        """Ours first, the paper's in brackets; the best of each column in bold."""
        about = {
            name: [of(row) for row in self.rows]
            for name, of in (("reads", self._reads), ("parameters", self._parameters))
        }
        about = {name: texts for name, texts in about.items() if any(texts)}
        lines = [
            f"# {self.title}",
            "",
            self._heading(),
            "",
        ]
        lines.append("| | " + " | ".join([*about, *self.columns.values()]) + " |")
        lines.append("| --- |" + " ---: |" * (len(about) + len(self.columns)))
        for index, (row, label) in enumerate(self.rows.items()):
            texts = [*(column[index] for column in about.values()), *(self.text(row, c) for c in self.columns)]
            lines.append(f"| {label} | " + " | ".join(texts) + " |")
        return "\n".join([*lines, "", *(f"- {note}" for note in self.notes)]) + "\n"

    def _heading(self) -> str:
        better = "" if self.better == "neither" else f"; {self.better} is better"
        said = [f"mean ± standard deviation over {self.over}"] if self.over else []
        said += ["in brackets the paper's"] if self.has_paper else []
        text = "; ".join(said)
        return f"{self.unit}{better}." + (f" {text[0].upper()}{text[1:]}." if said else "")

    @property
    def has_paper(self) -> bool:
        """Whether the paper gives any of the figures."""
        return any(cell.paper is not None for cell in self.cells.values())

    def _reads(self, row: str) -> str:
        return (self.reads or {}).get(row, "")

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
        ours = f"{cell.mean:.3g}" if cell.mean < 10 else f"{cell.mean:.{self.decimals}f}"
        ours += f" ± {self._deviation(cell)}" if len(cell.values) > 1 else " (one seed)" if self._lonely(cell) else ""
        ours = f"**{ours}**" if self._is_first(row, column) else ours
        if cell.paper is None:
            return ours
        mean, std = cell.paper
        return f"{ours} ({mean:g}" + (f" ± {std:g})" if std else ")")

    def _deviation(self, cell: Cell) -> str:
        """Two digits, but none beyond those of the mean."""
        size = abs(cell.mean)
        places = self.decimals if size >= 10 else 2 - math.floor(math.log10(size)) if size else 2
        if cell.std >= 99.5:
            return f"{cell.std:.0f}"
        if cell.std >= 0.995 * 10 ** (1 - places) or not cell.std:
            return f"{cell.std:.2g}"
        return f"{cell.std:.{places}f}" if round(cell.std, places) else f"<{10**-places:g}"

    def _lonely(self, cell: Cell) -> bool:
        """Whether a run has fewer seeds than others."""
        return (
            self.over == "seeds"
            and len(self.cells) > 1
            and len(cell.facts.get("seeds", cell.facts.get("runs", ()))) == 1
        )

    def _is_first(self, row: str, column: str) -> bool:
        if self.better == "neither":
            return False
        group = None if self.groups is None else self.groups[row]
        rivals = sum(self.groups is None or self.groups[other] == group for other in self.rows)
        return rivals > 1 and self.first(column, group) == row


def _cell(data: Mapping[str, Any], name: str) -> Cell:
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
    """Mean and standard deviation (0 if it gives none) in the paper, from ``paper.json``; None if it has no such figure."""
    data = json.loads(resources.files("wskan.experiments.engine").joinpath("paper.json").read_text()).get(table, {})
    if row not in data or column not in data["columns"]:
        return None
    mean, std = data[row][data["columns"].index(column)]
    return mean, std
