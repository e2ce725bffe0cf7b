"""Figures 5, 12 and 13: what is left of classifiers that are pruned without data (paper, sections 5.3 and C.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch

from wskan.errors import DataError
from wskan.experiments.engine import closed_form
from wskan.experiments.engine.classifier_zoos import classifier_zoos
from wskan.experiments.engine.cost import timed
from wskan.experiments.engine.draw import draw_tables
from wskan.experiments.engine.experiment import Experiment, ExperimentResult, Request, best_choice, run_records
from wskan.experiments.engine.methods import METHODS
from wskan.experiments.engine.notes import classifier_zoo_notes
from wskan.experiments.engine.plan import Plan
from wskan.experiments.engine.table import Cell, Table, paper_cell
from wskan.experiments.engine.workspace import Workspace
from wskan.experiments.paper.classifiers import CLASSIFIER_METHODS, FULL_PRUNING
from wskan.experiments.paper.downstream import (
    SHARES,
    TIMED,
    TRADE_OFF_IMAGES,
    PruningCohort,
    oracle_effect,
    run_effect,
    seconds_a_kan,
)
from wskan.experiments.paper.label_noise import BIN_LABELS, binned
from wskan.experiments.paper.pruning import table4
from wskan.kan import Population, accuracy
from wskan.provenance import provenance
from wskan.tasks import Run
from wskan.zoo import Zoo, open_zoo
from wskan.zoo.classifiers import Labels
from wskan.zoo.manifest import sha256
from wskan.zoo.targets import load_labels

FIGURES = {"mnist": "5", "fashion-mnist": "12", "kmnist": "13"}
ROWS = {"original": "Original KAN", "oracle": "Oracle", "random": "Random edges", "chance": "Random classifier"}
ALL_METHODS = tuple(dict.fromkeys([*CLASSIFIER_METHODS, *FULL_PRUNING]))
TIMED_METHODS = ("ws_kan", "scores")  # of which figure 5c takes the time: the second at scale full
LABELS = {
    **ROWS,
    **{method: METHODS[method].label for method in ALL_METHODS},
    closed_form.ROW: closed_form.LABEL,
    "ws_kan_cuda": "WS-KAN, GPU",
}
GROUPS = {row: row if row in ROWS else "methods" for row in LABELS}  # the best of the methods is bold


def find(workspace: Workspace, request: Request) -> ExperimentResult:
    """Four tables a data set: accuracy and edges kept by label noise, accuracy against edges kept, seconds."""
    built = classifier_zoos(workspace, request)
    about = classifier_zoo_notes(built)
    tables = [table for dataset, zoo in built.items() for table in _tables(workspace, request, dataset, zoo, about)]
    return ExperimentResult(
        tables=tuple(tables),
        runs=run_records(workspace, table4.plans(request)),
        draw=lambda tables, data, path: draw_tables(tables, path, across=4),
    )


TRADE_OFF = {f"{100 * share:g}": float for share in SHARES}  # shape of what is measured


def _tables(workspace: Workspace, request: Request, dataset: str, zoo: Zoo, about: Sequence[str]) -> list[Table]:
    recipe, count = zoo.recipe, request.scale.classifiers.shown
    classifier = recipe.classifier
    assert classifier is not None
    labels = load_labels(recipe, workspace.data_root)
    rows = zoo.split("test")[:count]
    noise, patients = zoo.columns["noise"][rows], PruningCohort(population=zoo.population(rows), labels=labels)
    key = _key(zoo, labels, count)
    shape = {"accuracy": (float,) * len(rows), "kept": (float,) * len(rows), "trade_off": TRADE_OFF}
    chosen = {
        method: best_choice(workspace, asked)
        for method in methods_of(request)
        if (asked := request.plans(dataset, method, problem="pruning"))
    }
    guess = torch.rand(len(rows), recipe.spec.num_edges, generator=torch.Generator().manual_seed(0))
    effects: dict[str, list[Any]] = {
        "oracle": [workspace.cached({**key, "who": "oracle"}, lambda: oracle_effect(patients, classifier), shape)],
    }
    chance = {"trade_off": workspace.cached({**key, "who": "chance"}, lambda: patients.trade_off(guess), TRADE_OFF)}
    for method, runs in chosen.items():
        effects[method] = [
            workspace.cached(
                {**key, **_identity(plan, run)},
                partial(run_effect, workspace, plan, run, labels, count),
                shape,
            )
            for plan, run in runs
        ]
    if request.scale.name == "full" and request.methods is None:
        threshold = closed_form.closed_form(workspace, recipe)["threshold"]
        who = {**key, "who": "closed form", "threshold": threshold}
        effects[closed_form.ROW] = [
            workspace.cached(who, lambda: patients.effect(closed_form.scores(patients.population), threshold), shape)
        ]
    runs_of = {method: [plan.name for plan, _ in runs] for method, runs in chosen.items()}
    first = next(chosen[method] for method in TIMED_METHODS if method in chosen)[0]
    bf16 = first[0].training.precision == "bf16"
    seconds = seconds_a_kan(patients, classifier, first[1], workspace.place, bf16)
    machine = provenance()["machine"]
    notes = [
        f"The first {len(rows)} test KANs; accuracies on all {len(labels.test_labels):,} test images, of the trade-off on {min(TRADE_OFF_IMAGES, len(labels.test_labels)):,}. One threshold for all KANs, chosen on validation; "
        "the trade-off moves it. The paper gives the figure without numbers, but for the seconds.",
        *about,
    ]
    by_noise = {name: _by_noise(noise, effects, name, runs_of) for name in ("accuracy", "kept")}
    original = binned(noise, 100 * zoo.columns["accuracy"][rows])
    for middle, values in original.items():
        by_noise["accuracy"]["original", middle] = Cell(values=(float(values.mean()),))
        by_noise["accuracy"]["chance", middle] = Cell(values=(100 / recipe.spec.widths[-1],))
    number = FIGURES.get(dataset, "5")
    axis = {"kind": "lines", "axis": "permuted labels, percent", "columns": {m: BIN_LABELS[m] for m in original}}
    return [
        _table(f"Figure {number}a: accuracy after pruning, {dataset}", "test accuracy, percent", by_noise["accuracy"], notes, **axis),
        _table(f"Figure {number}b: edges kept, {dataset}", "percent of edges", by_noise["kept"], notes, **axis, better="neither", groups={row: row for row in LABELS}),
        _table(
            f"Accuracy against edges kept, {dataset}",
            "mean test accuracy, percent",
            _trade_off({**effects, "random": [chance]}, runs_of),
            notes,
            kind="lines",
            axis="edges kept, percent",
            columns={f"{100 * share:g}": f"{100 * share:g}" for share in SHARES},
            log_columns=True,
        ),
        _table(
            f"Figure {number}c: seconds a KAN, {dataset}",
            "seconds",
            {
                (who, dataset): Cell(values=(value,), paper=paper_cell("figure5c_prune_seconds_per_kan", who, dataset))
                for who, value in seconds.items()
            },
            [
                f"Oracle: this library's, on {len(labels.scored):,} images. WS-KAN in {'bf16' if bf16 else 'fp32'}. Oracle and WS-KAN on {torch.get_num_threads()} core{'s' if torch.get_num_threads() > 1 else ''} of {machine['processor']}"
                + (f", GPU {torch.cuda.get_device_name()}." if workspace.place == "cuda" else ".")
            ],
            columns={dataset: dataset},
            groups={row: row for row in LABELS},
            log=True,
            better="lower",
            over="",
        ),
    ]  # fmt: skip


def methods_of(request: Request) -> tuple[str, ...]:
    """Those that are compared: table 4's."""
    return FULL_PRUNING if request.scale.name == "full" else CLASSIFIER_METHODS


def _key(zoo: Zoo, labels: Labels, count: int) -> dict[str, Any]:
    """All that an effect of pruning depends on, but for whose masks."""
    return {
        "zoo": [zoo.digest, zoo.checksum],
        "data": labels.note,
        "count": min(count, len(zoo.split("test"))),
        "shares": SHARES,
        "images": TRADE_OFF_IMAGES,
    }


def _identity(plan: Plan, run: Run) -> dict[str, Any]:
    """Of what came of a run, which may have been trained anew."""
    return {
        "who": plan.name,
        "model": [sha256(run.folder / "model" / "model.safetensors"), run.record.get("calibration")],
    }


def seconds(workspace: Workspace, request: Request) -> float:
    """For the effects of pruning that are not known yet, from the accuracies of a few KANs before training on as many images."""
    total = 0.0
    for dataset in request.datasets:
        recipe, count = request.scale.classifiers.recipe(dataset), request.scale.classifiers.shown
        if missing := _missing(workspace, request, dataset):
            patients = Population.init(recipe.spec, range(min(TIMED, count)))
            images, labels = torch.zeros(TRADE_OFF_IMAGES, recipe.spec.widths[0]), torch.zeros(TRADE_OFF_IMAGES).long()
            images[:, ::5] = torch.linspace(0, 1, len(images)).unsqueeze(1)  # mostly zero, as they are
            accuracy(patients[:1], images, labels)  # compiles the kernel
            once = timed(partial(accuracy, patients, images, labels)) / len(patients)
            total += missing * count * once * (10_000 / TRADE_OFF_IMAGES + len(SHARES))
    return total


def _missing(workspace: Workspace, request: Request, dataset: str) -> int:
    """How many effects of pruning are to be measured: the oracle's, that of chance, and one a method and seed."""
    methods = [plans for method in methods_of(request) if (plans := request.plans(dataset, method, problem="pruning"))]
    number = 2 + len(methods) * len(request.seeds)
    recipe = request.scale.classifiers.recipe(dataset)
    try:
        key = _key(
            open_zoo(workspace.zoo_folder(recipe)),
            load_labels(recipe, workspace.data_root),
            request.scale.classifiers.shown,
        )
    except DataError:  # not built yet
        return number
    finished = [plan for plans in methods for plan in plans if workspace.is_finished(plan)]
    who = [{"who": "oracle"}, {"who": "chance"}, *(_identity(plan, workspace.open(plan)) for plan in finished)]
    return number - sum(workspace.is_measured({**key, **identity}) for identity in who)


def _table(title: str, unit: str, cells: Mapping[tuple[str, str], Cell], notes: list[str], **style: Any) -> Table:
    rows = {row: label for row, label in LABELS.items() if any(r == row for r, _ in cells)}
    groups = style.pop("groups", GROUPS)
    return Table(
        title=title,
        unit=unit,
        rows=rows,
        cells=cells,
        notes=notes,
        groups={row: groups[row] for row in rows},
        **{"better": "higher", **style},
    )


def _by_noise(
    noise: torch.Tensor, effects: Mapping[str, list[Any]], name: str, runs: Mapping[str, list[str]]
) -> dict[tuple[str, str], Cell]:
    """Means over the KANs of a bin, one value a seed."""
    values: dict[tuple[str, str], list[float]] = {}
    for row, seeds in effects.items():
        for effect in seeds:
            for middle, found in binned(noise, torch.tensor(effect[name])).items():
                values.setdefault((row, middle), []).append(float(found.mean()))
    return {key: Cell(values=tuple(value), facts={"runs": runs.get(key[0], [])}) for key, value in values.items()}


def _trade_off(effects: Mapping[str, list[Any]], runs: Mapping[str, list[str]]) -> dict[tuple[str, str], Cell]:
    return {
        (row, share): Cell(
            values=tuple(effect["trade_off"][share] for effect in seeds), facts={"runs": runs.get(row, [])}
        )
        for row, seeds in effects.items()
        for share in seeds[0]["trade_off"]
    }


def plans(request: Request) -> list[Plan]:
    """Those of table 4."""
    timed_method = TIMED_METHODS[request.scale.name == "full"]
    if request.methods is not None and timed_method not in request.methods:
        raise DataError(
            f"figure 5 takes the time of {METHODS[timed_method].label}: name {timed_method} among the methods"
        )
    return table4.plans(request)


figure5 = Experiment(name="figure5", plans=plans, find=find, methods=ALL_METHODS, classifiers=True, seconds=seconds)
