"""Scores of runs: hyperparameters are chosen by validation score, and test scores are those of all seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from wskan.errors import DivergedError
from wskan.experiments.engine.plan import Plan
from wskan.experiments.engine.table import Cell
from wskan.experiments.engine.workspace import Workspace
from wskan.tasks import Run, evaluate
from wskan.zoo import Zoo


def non_diverged(workspace: Workspace, plans: Sequence[Plan]) -> list[Plan]:
    """Return the runs with hyperparameters that diverged for none of the seeds."""
    diverged = {_hyperparameters(plan) for plan in plans if workspace.diverged(plan)}
    return [plan for plan in plans if _hyperparameters(plan) not in diverged]


def best_choice(workspace: Workspace, plans: Sequence[Plan]) -> list[tuple[Plan, Run]]:
    """Return the runs of the hyperparameters with the best mean validation score, of those that never diverged.

    Test scores are not read.

    Raises:
        DivergedError: if all hyperparameters diverged.
    """
    candidates: dict[tuple[Any, ...], list[tuple[Plan, Run]]] = {}
    for plan in non_diverged(workspace, plans):
        candidates.setdefault(_hyperparameters(plan), []).append((plan, workspace.open(plan)))
    if not candidates:
        raise DivergedError(
            f"training diverged with all hyperparameters of {plans[0]}; leave its method out (--methods)"
        )
    task = plans[0].task

    def score(choice: tuple[Any, ...]) -> float:
        value = statistics.fmean(run.record["val"][task.monitor] for _, run in candidates[choice])
        return value if task.mode == "max" else -value

    return candidates[max(candidates, key=score)]


def _hyperparameters(plan: Plan) -> tuple[Any, ...]:
    return plan.lr, plan.hidden, plan.num_layers


def cell_from_runs(
    workspace: Workspace,
    plans: Sequence[Plan],
    paper: tuple[float, float] | None,
    metric: str | None = None,
    factor: float = 1.0,
) -> Cell:
    """Return the test scores of the best hyperparameters, times a factor.

    The metric is the one that chose them, if none is given.
    """
    chosen = best_choice(workspace, plans)
    first, first_run = chosen[0]
    metric = metric or first.task.monitor
    size = {name: value for name in ("hidden", "num_layers") if (value := getattr(first, name)) is not None}
    return Cell(
        values=tuple(factor * run.record["test"][metric] for _, run in chosen),
        paper=paper,
        facts={
            "rate": first.lr,
            **size,
            "val": [factor * run.record["val"][metric] for _, run in chosen],
            "parameters": first_run.record["parameters"],
            "train_seconds": [run.record["train_seconds"] for _, run in chosen],
            "seeds": [plan.seed for plan, _ in chosen],
            "runs": [plan.name for plan, _ in chosen],
        },
    )


def evaluate_on(
    zoo: Zoo,
    workspace: Workspace,
    chosen: Sequence[tuple[Plan, Run]],
    paper: tuple[float, float] | None = None,
    **facts: Any,
) -> Cell:
    """Return the test scores of chosen runs on a zoo, which may be another than their own.

    ``facts`` are further entries of the cell.
    """
    values = tuple(
        evaluate(run.model, zoo, plan.task, run.features, device=workspace.torch_device)[plan.task.monitor]
        for plan, run in chosen
    )
    seeds, runs = [plan.seed for plan, _ in chosen], [plan.name for plan, _ in chosen]
    return Cell(values=values, paper=paper, facts={"seeds": seeds, "runs": runs, "zoo": zoo.recipe.digest, **facts})


def run_records(workspace: Workspace, plans: Sequence[Plan]) -> dict[str, Any]:
    """Return the records of the runs by name, without those that diverged."""
    return {plan.name: workspace.open(plan).record for plan in plans if not workspace.diverged(plan)}
