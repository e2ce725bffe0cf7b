"""An experiment that trains nothing, through which ``reproduce`` reads result files and what it measured before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wskan.experiments import Workspace, get_scale
from wskan.experiments.engine.closed_form import closed_form
from wskan.experiments.engine.draw import draw_tables
from wskan.experiments.engine.experiment import Experiment, ExperimentResult, Request
from wskan.experiments.engine.table import Cell, Table

drawing = False  # pictures take longer than all else; a share of the mutants is drawn


def _draw(tables: Sequence[Table], data: Mapping[str, Any], path: Path) -> None:
    if drawing:
        draw_tables(tables, path)


def _analyse(workspace: Workspace, request: Request) -> ExperimentResult:
    from fuzz.templates import recipe

    measured = closed_form(workspace, recipe(classifiers=True))
    rows, columns = {"a": "Method a", "b": "Method b"}, {"digits": "digits", "mnist": "MNIST"}
    cells = {("a", "digits"): Cell(values=(1.0 * measured["auc"],))}
    facts = {"runs": ["x-seed0", "x-seed1"], "seeds": [0, 1], "val": [1.0, 2.0], "train_seconds": [1.0, 1.0]}
    cells["b", "digits"] = Cell(values=(50.0, 51.0), paper=(90.0, 1.0), facts={**facts, "parameters": 100})
    about = {"groups": {"a": "one", "b": "one"}, "reads": {"a": "weights", "b": "values"}, "notes": ["a note"]}
    table = Table(title="Tiny", unit="%", better="higher", rows=rows, columns=columns, cells=cells, **about)
    record = {"test": {"accuracy": 50.0}, "asked": {"task": "inr-classification"}}
    data = {"digits": {"threshold": [float(measured["threshold"])]}}
    return ExperimentResult(tables=(table,), runs={"x-seed0": record, "x-seed1": record}, data=data, draw=_draw)


EXPERIMENT = Experiment(name="tiny", plans=lambda request: [], analyse=_analyse)
REQUEST = Request(scale=get_scale("smoke"), datasets=("digits",), seeds=(0,))
