"""The tables of figures 5, 12 and 13, from the measured effects of pruning."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from wskan.experiments.engine import closed_form
from wskan.experiments.engine.methods import METHODS
from wskan.experiments.engine.table import Cell, Table, paper_cell
from wskan.experiments.paper.classifiers import CLASSIFIER_METHODS, FULL_PRUNING
from wskan.experiments.paper.downstream import SHARES
from wskan.experiments.paper.label_noise import BIN_LABELS, bin_by_noise

FIGURES = {"mnist": "5", "fashion-mnist": "12", "kmnist": "13"}
ROWS = {"original": "Original KAN", "oracle": "Oracle", "random": "Random edges", "chance": "Random classifier"}
ALL_METHODS = tuple(dict.fromkeys([*CLASSIFIER_METHODS, *FULL_PRUNING]))
LABELS = {
    **ROWS,
    **{method: METHODS[method].label for method in ALL_METHODS},
    closed_form.ROW: closed_form.LABEL,
    "ws_kan_cuda": "WS-KAN, GPU",
}
GROUPS = {row: row if row in ROWS else "methods" for row in LABELS}
"""Groups of rows that are compared: the best of the methods is bold."""
ALONE = {row: row for row in LABELS}
"""Groups of one row each: no row is bold."""
Cells = dict[tuple[str, str], Cell]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PruningEffects:
    """The measured effects of pruning n test KANs of a data set.

    Attributes:
        dataset: name of the images.
        num_classes: number of classes.
        noise: share of permuted labels ``[n]``.
        accuracy: accuracies before pruning in percent ``[n]``.
        by_row: by row, one effect per seed: see :meth:`wskan.experiments.paper.downstream.PruningCohort.effect`.
        random: mean accuracies for random edges, by the share of edges kept.
        run_names: by method, the name of the run of each seed.
        seconds: seconds per KAN, by row.
    """

    dataset: str
    num_classes: int
    noise: Tensor
    accuracy: Tensor
    by_row: Mapping[str, Sequence[Any]]
    random: Mapping[str, float]
    run_names: Mapping[str, Sequence[str]]
    seconds: Mapping[str, float]

    def facts(self, row: str) -> dict[str, Any]:
        """Return the details of the cells of a row."""
        return {"runs": self.run_names.get(row, [])}


def pruning_tables(effects: PruningEffects, notes: Sequence[str], seconds_notes: Sequence[str]) -> list[Table]:
    """Return four tables: accuracy and kept edges by label noise, accuracy against kept edges, and seconds."""
    return [
        _accuracy_table(effects, notes),
        _edges_table(effects, notes),
        _trade_off_table(effects, notes),
        _seconds_table(effects, seconds_notes),
    ]


def _accuracy_table(effects: PruningEffects, notes: Sequence[str]) -> Table:
    cells = _cells_by_noise(effects, "accuracy")
    for column, values in bin_by_noise(effects.noise, effects.accuracy).items():
        cells["original", column] = Cell(values=(float(values.mean()),))
        cells["chance", column] = Cell(values=(100 / effects.num_classes,))
    return Table(
        title=f"Figure {_figure(effects)}a: accuracy after pruning, {effects.dataset}",
        unit="test accuracy, percent",
        better="higher",
        rows=_rows(cells),
        cells=cells,
        notes=notes,
        groups=_groups(cells, GROUPS),
        kind="lines",
        axis="permuted labels, percent",
        columns=_noise_columns(effects),
    )


def _edges_table(effects: PruningEffects, notes: Sequence[str]) -> Table:
    cells = _cells_by_noise(effects, "kept")
    return Table(
        title=f"Figure {_figure(effects)}b: edges kept, {effects.dataset}",
        unit="percent of edges",
        better="neither",
        rows=_rows(cells),
        cells=cells,
        notes=notes,
        groups=_groups(cells, ALONE),
        kind="lines",
        axis="permuted labels, percent",
        columns=_noise_columns(effects),
    )


def _trade_off_table(effects: PruningEffects, notes: Sequence[str]) -> Table:
    cells: Cells = {}
    columns = [f"{100 * share:g}" for share in SHARES]
    for row, seeds in {**effects.by_row, "random": [{"trade_off": effects.random}]}.items():
        for column in columns:
            values = tuple(effect["trade_off"][column] for effect in seeds)
            cells[row, column] = Cell(values=values, facts=effects.facts(row))
    return Table(
        title=f"Accuracy against edges kept, {effects.dataset}",
        unit="mean test accuracy, percent",
        better="higher",
        rows=_rows(cells),
        cells=cells,
        notes=notes,
        groups=_groups(cells, GROUPS),
        kind="lines",
        axis="edges kept, percent",
        columns={column: column for column in columns},
        log_columns=True,
    )


def _seconds_table(effects: PruningEffects, notes: Sequence[str]) -> Table:
    cells: Cells = {}
    for row, seconds in effects.seconds.items():
        paper = paper_cell("figure5c_prune_seconds_per_kan", row, effects.dataset)
        cells[row, effects.dataset] = Cell(values=(seconds,), paper=paper)
    return Table(
        title=f"Figure {_figure(effects)}c: seconds per KAN, {effects.dataset}",
        unit="seconds",
        better="lower",
        rows=_rows(cells),
        cells=cells,
        notes=notes,
        groups=_groups(cells, ALONE),
        columns={effects.dataset: effects.dataset},
        log=True,
        over="",
    )


def _cells_by_noise(effects: PruningEffects, name: str) -> Cells:
    """Return means over the KANs of each bin of noise, one value per seed."""
    values: dict[tuple[str, str], list[float]] = {}
    for row, seeds in effects.by_row.items():
        for effect in seeds:
            for column, of_bin in bin_by_noise(effects.noise, torch.tensor(effect[name])).items():
                values.setdefault((row, column), []).append(float(of_bin.mean()))
    return {key: Cell(values=tuple(means), facts=effects.facts(key[0])) for key, means in values.items()}


def _noise_columns(effects: PruningEffects) -> dict[str, str]:
    return {column: BIN_LABELS[column] for column in bin_by_noise(effects.noise, effects.accuracy)}


def _figure(effects: PruningEffects) -> str:
    return FIGURES.get(effects.dataset, "5")


def _rows(cells: Cells) -> dict[str, str]:
    return {row: label for row, label in LABELS.items() if any(r == row for r, _ in cells)}


def _groups(cells: Cells, groups: Mapping[str, str]) -> dict[str, str]:
    return {row: groups[row] for row in _rows(cells)}
