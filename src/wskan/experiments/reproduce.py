"""Run an experiment and keep what it shows."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from wskan.errors import DataError, reason
from wskan.experiments.cost import Cost, duration, estimate
from wskan.experiments.experiment import Experiment, Findings, Request
from wskan.experiments.plan import Plan
from wskan.experiments.table import Table
from wskan.experiments.workspace import Workspace
from wskan.files import check_inside, write_atomically
from wskan.locks import hold
from wskan.pictures import require_matplotlib
from wskan.printing import markup
from wskan.provenance import provenance
from wskan.reading import check, mapping, read_json
from wskan.tasks import Run

MAX_RESULT = 16 * 2**20  # bytes
SHAPE = {"protocol": str, "tables": [object], "runs": {str: {str: object}}, "data": {str: {str: [float]}}, str: object}
WRITING = "results are written"


def reproduce(
    experiment: Experiment, request: Request, workspace: Workspace, out: Path, *, dry_run: bool = False
) -> Findings | None:
    """Build the zoos that are missing, train the models that are missing, and write ``out/NAME/SCALE.json``, ``.md`` and ``.png``.

    Interrupted anywhere, the same call goes on from there. Data sets, seeds and methods may be done one at a time: the result file gathers them, and what that of ``experiment.shares`` has.

    Args:
        experiment: which table or figure.
        request: how large, on what, with which seeds.
        workspace: where zoos and runs lie.
        out: folder of the results.
        dry_run: only say what it would cost.

    Raises:
        DataError: a method that the experiment does not compare, data that is missing, or a full disk.
    """
    require_matplotlib()
    experiment.check(request)
    console, begin, origin = Console(), time.perf_counter(), provenance()
    plans = experiment.plans(request)
    with console.status(f"{experiment.name}: timing a few steps of what is missing"):
        cost = estimate(workspace, plans, [*(plan.recipe for plan in plans), *experiment.recipes(request)])
    cost = dataclasses.replace(cost, other_seconds=experiment.seconds(workspace, request))
    console.print(f"[bold]{experiment.name}[/] at scale {request.scale.name}: {cost}")
    if dry_run:
        return None
    folder, scale = out / experiment.name, request.scale.name
    name = protocol(experiment, request, workspace, origin["machine"])
    check_inside(out, folder)
    with hold(folder, WRITING, patience=60):  # what can be neither read nor written is told before the work
        _earlier(folder / f"{scale}.json", console, name)
    base = experiment.shares
    shared = None if base is None else _earlier(out / base.name / f"{scale}.json", console)
    progress = _Progress(console, cost)
    longest_first = sorted(plans, key=lambda plan: -cost.runs.get(plan, 0))  # or one would be left to a single core
    workspace.train_all(longest_first, progress, experiment.recipes(request))
    found = experiment.find(workspace, request)
    if diverged := [plan for plan in plans if workspace.diverged(plan)]:
        found = _with_notes(
            found, [f"{plan}: training diverged, its hyperparameters are left out." for plan in diverged]
        )
    if shared:
        whole = dataclasses.replace(request, methods=None, seeds=(*{*request.seeds, *request.scale.seeds},))
        found = _gather(found, _shared(found, shared, {plan.name for plan in experiment.plans(whole)}))
    facts = {**origin, "experiment": experiment.name, "scale": scale, "protocol": name}
    with hold(folder, WRITING, patience=60):  # which takes a moment
        if earlier := _earlier(folder / f"{scale}.json", Console(quiet=True), name):  # what others wrote meanwhile, too
            found = _gather(found, earlier)
        _write(folder, {**facts, "seconds": round(time.perf_counter() - begin, 1)}, found)
    for table in found.tables:
        console.print(_rich(table))
    console.print(markup(f"Written to {folder}/{scale}.json, .md and .png"))
    return found


def _write(folder: Path, facts: Mapping[str, Any], found: Findings) -> None:
    """Write the three files of a result."""
    scale = facts["scale"]
    used = {run for table in found.tables for cell in table.cells.values() for run in cell.facts.get("runs", ())}
    data = {
        **facts,
        "tables": [table.to_dict() for table in found.tables],
        "data": found.data,
        "runs": {run: record for run, record in found.runs.items() if run in used},
    }
    text = "\n".join(table.to_markdown() for table in found.tables)
    write_atomically(folder / f"{scale}.json", lambda path: path.write_text(json.dumps(data, indent=1) + "\n"))
    write_atomically(folder / f"{scale}.md", lambda path: path.write_text(text))
    found.draw(found.tables, found.data, folder / f"{scale}.png")


def protocol(experiment: Experiment, request: Request, workspace: Workspace, machine: Mapping[str, Any]) -> str:
    """Eight hexadecimal digits that name how figures are measured; only those of one protocol stand in one table. Names of runs hash all their settings."""
    scale = request.scale
    whole = Request(scale=scale, datasets=experiment.datasets(scale), seeds=scale.seeds)
    sizes = scale.settings()
    classifiers = sizes.pop("classifiers")
    settings: list[Any] = [
        classifiers if experiment.classifiers else sizes,
        [plan.name for plan in experiment.plans(whole)],
    ]
    if experiment.classifiers:
        settings.append([recipe.digest for recipe in experiment.recipes(whole)])
    if (own := experiment.settings(whole)) is not None:
        settings.append(own)
    if experiment.times:
        settings.append([workspace.place, machine["processor"], machine["cores"]])
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]


def _earlier(path: Path, console: Console, name: str | None = None) -> Findings | None:
    """What a result file shows, if it is there; with the name of a protocol, only if it was measured by that."""
    if not path.exists():
        return None
    hint = "move it away, or choose another --out"
    data = read_json(path, MAX_RESULT, hint, infinite=True)
    try:
        data = {"runs": {}, "data": {}, "protocol": "", **mapping(data, "a result")}
        if "table" in data:  # of an earlier version
            data["tables"] = [data.pop("table")]
        check(data, SHAPE, "a result")
        if name is not None and (found := data["protocol"]) != name:
            console.print(
                markup(f"{path} was measured with other settings (protocol {found}, now {name}): it will be replaced")
            )
            return None
        return Findings(tables=tuple(map(Table.from_dict, data["tables"])), runs=data["runs"], data=data["data"])
    except DataError as error:
        raise DataError(f"{path}: not a result of wskan reproduce ({reason(error)}); {hint}") from error


def _with_notes(found: Findings, notes: Sequence[str]) -> Findings:
    """With more notes under each table."""
    tables = tuple(dataclasses.replace(table, notes=[*table.notes, *notes]) for table in found.tables)
    return dataclasses.replace(found, tables=tables)


def _shared(found: Findings, other: Findings, names: set[str]) -> Findings:
    """Figures of another experiment in this one's tables, metric by metric: those that runs of these names gave, which hash all their settings."""
    tables = tuple(
        dataclasses.replace(
            table,
            cells={at: cell for at, cell in known.cells.items() if names.issuperset(cell.facts.get("runs", [""]))},
        )
        for table, known in zip(found.tables, other.tables, strict=False)
    )
    return Findings(tables=tables, runs=other.runs)


def _gather(found: Findings, earlier: Findings) -> Findings:
    """With what was found before on other data sets, with other seeds and by other methods."""
    tables = {table.title: table for table in earlier.tables}
    for table in found.tables:
        tables[table.title] = table.gather(tables[table.title]) if table.title in tables else table
    return dataclasses.replace(
        found,
        tables=tuple(tables.values()),
        runs={**earlier.runs, **found.runs},
        data={**earlier.data, **found.data},
    )


class _Progress:
    """A line for each run that ends, with the time left: the estimate, corrected by how it fared so far."""

    def __init__(self, console: Console, cost: Cost) -> None:
        self.console, self.left, self.total, self.jobs = console, dict(cost.runs), len(cost.runs), cost.jobs
        zoos = cost.jobs * cost.kan_seconds  # on as many cores; done before the first run ends
        self.all, self.begin = zoos + sum(cost.runs.values()), time.perf_counter()

    def __call__(self, plan: Plan, run: Run | None) -> None:
        self.left.pop(plan, None)
        left = sum(self.left.values())
        elapsed, done = time.perf_counter() - self.begin, self.all - left
        remaining = elapsed * left / done if done else left / self.jobs
        number = f"{self.total - len(self.left)}/{self.total}"
        self.console.print(f"{number} {markup(plan)}: {_outcome(run)}; {duration(remaining)} left")


def _outcome(run: Run | None) -> str:
    if run is None:
        return "training diverged"
    metric = run.task.monitor
    return f"{metric} {run.record['val'][metric]:.4g} on validation, {run.record['train_seconds']:,.0f} s"


def _rich(table: Table) -> object:
    from rich.table import Table as RichTable

    paper = "; in brackets the paper's" if table.has_paper else ""
    shown = RichTable(title=markup(f"{table.title} ({table.unit}{paper})"))
    shown.add_column("")
    for label in table.columns.values():
        shown.add_column(markup(label), justify="right")
    for row, label in table.rows.items():
        shown.add_row(markup(label), *(table.text(row, column).replace("**", "") for column in table.columns))
    return shown
