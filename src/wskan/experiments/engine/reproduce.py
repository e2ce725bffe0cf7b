"""The command ``wskan reproduce``: run an experiment and write its result."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from wskan.experiments.engine.cost import Cost, duration, estimate
from wskan.experiments.engine.experiment import Experiment, ExperimentResult, Request
from wskan.experiments.engine.plan import Plan
from wskan.experiments.engine.render import to_rich
from wskan.experiments.engine.result_file import merge_results, read_result, reuse_cells, write_result
from wskan.experiments.engine.workspace import Workspace
from wskan.files import check_inside, digest
from wskan.locks import hold
from wskan.plotting.figure import require_matplotlib
from wskan.printing import markup
from wskan.provenance import provenance
from wskan.tasks import Run

WRITING = "results are written"
PATIENCE = 60  # seconds to wait for another process to write its result


def reproduce(
    experiment: Experiment, request: Request, workspace: Workspace, out: Path, *, dry_run: bool = False
) -> ExperimentResult | None:
    """Build missing zoos, train missing models, and write ``out/NAME/SCALE.json``, ``.md`` and ``.png``.

    After an interruption, the same call resumes. Data sets, seeds and methods may be requested one at a time: each
    result is merged with the result file. Cells of ``experiment.reuses_runs_of`` are added.

    Args:
        experiment: table or figure.
        request: scale, data sets, seeds and methods.
        workspace: folder of zoos and runs.
        out: folder of the results.
        dry_run: only print the cost.

    Raises:
        DataError: if a method is not compared, data is missing, or the disk is full.
    """
    require_matplotlib()
    experiment.check(request)
    console, begin, origin = Console(), time.perf_counter(), provenance()
    plans = experiment.plans(request)
    cost = _estimate(experiment, request, workspace, plans, console)
    if dry_run:
        return None
    folder, scale = out / experiment.name, request.scale.name
    path, name = folder / f"{scale}.json", protocol(experiment, request, workspace, origin["machine"])
    check_inside(out, folder)
    with hold(folder, WRITING, patience=PATIENCE):  # errors in the earlier file are raised before the work
        read_result(path, console, name)
    shared = _read_shared(experiment, out, scale, console)
    # The longest runs come first, so that none of them is left to a single core.
    longest_first = sorted(plans, key=lambda plan: -cost.runs.get(plan, 0))
    workspace.train_all(longest_first, _Progress(console, cost), experiment.recipes(request))
    result = _collect(experiment, request, workspace, plans, shared)
    header = {**origin, "experiment": experiment.name, "scale": scale, "protocol": name}
    with hold(folder, WRITING, patience=PATIENCE):
        if earlier := read_result(path, Console(quiet=True), name):  # includes what others wrote meanwhile
            result = merge_results(result, earlier)
        write_result(folder, {**header, "seconds": round(time.perf_counter() - begin, 1)}, result)
    for table in result.tables:
        console.print(to_rich(table))
    console.print(markup(f"Written to {folder}/{scale}.json, .md and .png"))
    return result


def protocol(experiment: Experiment, request: Request, workspace: Workspace, machine: Mapping[str, Any]) -> str:
    """Return eight hexadecimal digits that identify how the numbers of an experiment are measured.

    Only results of the same protocol are merged. It does not depend on the requested data sets, seeds and methods.
    """
    scale = request.scale
    whole = Request(scale=scale, datasets=experiment.datasets(scale), seeds=scale.seeds)
    sizes = scale.settings()
    classifiers = sizes.pop("classifiers")
    settings: list[Any] = [
        classifiers if experiment.classifiers else sizes,
        [plan.name for plan in experiment.plans(whole)],  # names of runs hash all their settings
    ]
    if experiment.classifiers:
        settings.append([recipe.digest for recipe in experiment.recipes(whole)])
    if (own := experiment.settings(whole)) is not None:
        settings.append(own)
    if experiment.times:
        settings.append([workspace.torch_device, machine["processor"], machine["cores"]])
    return digest(settings, 8)


def _estimate(
    experiment: Experiment, request: Request, workspace: Workspace, plans: Sequence[Plan], console: Console
) -> Cost:
    """Estimate and print the cost."""
    with console.status(f"{experiment.name}: timing a few steps of what is missing"):
        cost = estimate(workspace, plans, [*(plan.recipe for plan in plans), *experiment.recipes(request)])
    cost = dataclasses.replace(cost, other_seconds=experiment.seconds(workspace, request))
    console.print(f"[bold]{experiment.name}[/] at scale {request.scale.name}: {cost}")
    return cost


def _read_shared(experiment: Experiment, out: Path, scale: str, console: Console) -> ExperimentResult | None:
    """Return the result of the experiment that shares runs with this one, if there is one."""
    base = experiment.reuses_runs_of
    return None if base is None else read_result(out / base.name / f"{scale}.json", console)


def _collect(
    experiment: Experiment,
    request: Request,
    workspace: Workspace,
    plans: Sequence[Plan],
    shared: ExperimentResult | None,
) -> ExperimentResult:
    """Analyse the finished runs, note those that diverged, and add cells of the shared result."""
    result = experiment.analyse(workspace, request)
    if diverged := [plan for plan in plans if workspace.diverged(plan)]:
        notes = [f"{plan}: training diverged, its hyperparameters are left out." for plan in diverged]
        tables = tuple(dataclasses.replace(table, notes=[*table.notes, *notes]) for table in result.tables)
        result = dataclasses.replace(result, tables=tables)
    if shared is None:
        return result
    whole = dataclasses.replace(request, methods=None, seeds=(*{*request.seeds, *request.scale.seeds},))
    return merge_results(result, reuse_cells(result, shared, {plan.name for plan in experiment.plans(whole)}))


class _Progress:
    """A callback that prints a line per finished run, with the time left: the estimate scaled by the time so far."""

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
