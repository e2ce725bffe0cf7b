"""The cost of an experiment, estimated from a few steps before it starts."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import torch

from wskan.errors import DataError
from wskan.experiments.engine.plan import Plan
from wskan.experiments.engine.processes import cores
from wskan.experiments.engine.workspace import Workspace
from wskan.graph import kan_graph
from wskan.kan import FitConfig, Population, fit_population, outputs
from wskan.models import build_model
from wskan.tasks.output import flatten_output
from wskan.zoo import Recipe, open_zoo

MAX_GRAPHS = 32  # of a timed step
T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of the zoos, runs and measurements that are missing.

    Attributes:
        kans: number of KANs to fit.
        kan_seconds: seconds for all of them.
        runs: seconds of each run to train, on its share of the cores.
        jobs: number of runs at a time.
        device: a GPU's name, or the number of cores.
        other_seconds: seconds of other measurements.
    """

    kans: int
    kan_seconds: float
    runs: dict[Plan, float]
    jobs: int
    device: str
    other_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        """Return the seconds for everything."""
        return self.kan_seconds + self.run_seconds + self.other_seconds

    @property
    def run_seconds(self) -> float:
        """Return the seconds for all runs."""
        return sum(self.runs.values()) / self.jobs

    def __str__(self) -> str:
        zoos = f"{self.kans:,} KANs to fit ({duration(self.kan_seconds)})"
        runs = f"{len(self.runs)} models to train ({duration(self.run_seconds)}, {self.jobs} at a time)"
        other = f", other measurements ({duration(self.other_seconds)})" if self.other_seconds else ""
        return f"{zoos}, {runs}{other} on {self.device}: about {duration(self.seconds)}"


def estimate(workspace: Workspace, plans: Sequence[Plan], recipes: Sequence[Recipe]) -> Cost:
    """Estimate the cost from the time of a few KANs and of a few steps of each kind of model.

    Args:
        workspace: the zoos and runs that it contains cost nothing.
        plans: runs of the experiment.
        recipes: recipes of all its zoos.
    """
    missing = workspace.missing(plans)
    unbuilt = [r for r in {r.digest: r for r in recipes}.values() if not _built(workspace, r)]
    threads, device = torch.get_num_threads(), workspace.torch_device
    per_kan = _time_per_kind(unbuilt, lambda recipe: (recipe.spec, recipe.fit, recipe.classifier), _seconds_per_kan)
    kan_seconds = sum(len(recipe) * seconds for recipe, seconds in per_kan)
    torch.set_num_threads(workspace.threads)
    try:
        per_graph = _time_per_kind(missing, _timing_key, lambda plan: seconds_per_graph(plan, device))
    finally:
        torch.set_num_threads(threads)
    runs = {plan: seconds * _num_graphs(plan) for plan, seconds in per_graph}
    return Cost(
        kans=sum(map(len, unbuilt)),
        kan_seconds=kan_seconds,
        runs=runs,
        jobs=workspace.jobs,
        device=torch.cuda.get_device_name() if device == "cuda" else f"{cores()} cores",
    )


def duration(seconds: float) -> str:
    """Format seconds for readers: ``"5 s"``, ``"10 min"``, ``"2 h 05 min"``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def _built(workspace: Workspace, recipe: Recipe) -> bool:
    try:
        open_zoo(workspace.zoo_folder(recipe))
    except DataError:
        return False
    return True


def _time_per_kind(
    items: Sequence[T], kind: Callable[[T], Hashable], seconds: Callable[[T], float]
) -> list[tuple[T, float]]:
    """Return each item with its seconds, which are measured for the first item of each kind."""
    times: dict[Hashable, float] = {}
    for item in items:
        if kind(item) not in times:
            times[kind(item)] = seconds(item)
    return [(item, times[kind(item)]) for item in items]


def _seconds_per_kan(recipe: Recipe) -> float:
    spec, size = recipe.spec, 2 * torch.get_num_threads()
    steps = min(recipe.fit.steps, 100)
    config = dataclasses.replace(recipe.fit, steps=steps)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(1024, spec.widths[0], generator=generator) * 2 - 1
    targets = torch.rand(size, 1024, spec.widths[-1], generator=generator)
    if recipe.classifier is not None:  # images are mostly zero
        inputs = inputs.abs() * (torch.rand(inputs.shape, generator=generator) < 0.2)
        targets = targets.argmax(-1)

    def fit(config: FitConfig) -> Population:
        return fit_population(spec, inputs, targets, torch.arange(size), config).population

    population = fit(dataclasses.replace(config, steps=1))  # compiles the kernel
    seconds = time_once(lambda: fit(config)) * recipe.fit.steps / steps
    if recipe.classifier is not None:  # accuracies and masks are measured on about this many images
        images = 10_000 + recipe.classifier.scored
        seconds += time_once(lambda: outputs(population, inputs)) * images / len(inputs)
    return seconds / size


def _timing_key(plan: Plan) -> Hashable:
    """Return a key that runs of the same duration per graph share."""
    return plan.recipe.spec, plan.model, plan.features, plan.training.precision, plan.training.batch_size


def _num_graphs(plan: Plan) -> float:
    """Return the number of graphs to train on, where a validation graph costs a third of a training graph."""
    return plan.training.epochs * (plan.graphs + plan.recipe.val / 3)


def seconds_per_graph(plan: Plan, device: str) -> float:
    """Measure the seconds per graph of a training step, without the time to build KAN-graphs."""
    size = min(MAX_GRAPHS, plan.training.batch_size)
    graph = kan_graph(Population.init(plan.recipe.spec, range(size)), plan.features).to(device)
    model = build_model(plan.model).to(device)
    optimizer = torch.optim.AdamW(model.parameters())

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=plan.training.precision == "bf16"):
            output = model(graph)
        flatten_output(output).square().mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    first = time_once(step)
    return min(time_once(step) for _ in range(3 if first < 5 else 1)) / size


def time_once(function: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin
