"""What an experiment will take, measured on a few steps before it starts."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import torch

from wskan.errors import DataError
from wskan.experiments.engine.plan import Plan
from wskan.experiments.engine.workspace import Workspace, cores
from wskan.graph import kan_graph
from wskan.kan import FitConfig, Population, fit_population, outputs
from wskan.models import build_model
from wskan.tasks.output import flatten_output
from wskan.zoo import Recipe, open_zoo

GRAPHS = 32  # of a timed step, at most
T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """Of what is missing.

    Attributes:
        kans: to be fitted.
        kan_seconds: for all of them.
        runs: seconds of each run to be trained, on its share of the cores.
        jobs: runs at a time.
        device: where.
        other_seconds: for what is measured beside runs.
    """

    kans: int
    kan_seconds: float
    runs: dict[Plan, float]
    jobs: int
    device: str
    other_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        """For everything."""
        return self.kan_seconds + self.run_seconds + self.other_seconds

    @property
    def run_seconds(self) -> float:
        """For the runs."""
        return sum(self.runs.values()) / self.jobs

    def __str__(self) -> str:
        zoos = f"{self.kans:,} KANs to fit ({duration(self.kan_seconds)})"
        runs = f"{len(self.runs)} models to train ({duration(self.run_seconds)}, {self.jobs} at a time)"
        other = f", other measurements ({duration(self.other_seconds)})" if self.other_seconds else ""
        return f"{zoos}, {runs}{other} on {self.device}: about {duration(self.seconds)}"


def estimate(workspace: Workspace, plans: Sequence[Plan], recipes: Sequence[Recipe]) -> Cost:
    """Time a few KANs and a few steps of each kind of model, and multiply.

    Args:
        workspace: what is there costs nothing.
        plans: runs of the experiment.
        recipes: of all its zoos.
    """
    missing = workspace.missing(plans)
    unbuilt = [r for r in {r.digest: r for r in recipes}.values() if not _built(workspace, r)]
    threads, device = torch.get_num_threads(), workspace.place
    a_kan = _once(unbuilt, lambda recipe: (recipe.spec, recipe.fit, recipe.classifier), _seconds_a_kan)
    kan_seconds = sum(len(recipe) * seconds for recipe, seconds in a_kan)
    torch.set_num_threads(workspace.threads)
    try:
        a_graph = _once(missing, _kind, lambda plan: seconds_a_graph(plan, device))
    finally:
        torch.set_num_threads(threads)
    runs = {plan: seconds * _graphs(plan) for plan, seconds in a_graph}
    return Cost(
        kans=sum(map(len, unbuilt)),
        kan_seconds=kan_seconds,
        runs=runs,
        jobs=workspace.jobs,
        device=torch.cuda.get_device_name() if device == "cuda" else f"{cores()} cores",
    )


def duration(seconds: float) -> str:
    """As people say it."""
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


def _once(things: Sequence[T], kind: Callable[[T], Hashable], seconds: Callable[[T], float]) -> list[tuple[T, float]]:
    """Each thing with its seconds, taken of the first of its kind."""
    found: dict[Hashable, float] = {}
    for thing in things:
        if kind(thing) not in found:
            found[kind(thing)] = seconds(thing)
    return [(thing, found[kind(thing)]) for thing in things]


def _seconds_a_kan(recipe: Recipe) -> float:
    spec, size = recipe.spec, 2 * torch.get_num_threads()
    steps = min(recipe.fit.steps, 100)
    config = dataclasses.replace(recipe.fit, steps=steps)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(1024, spec.widths[0], generator=generator) * 2 - 1
    targets = torch.rand(size, 1024, spec.widths[-1], generator=generator)
    if recipe.classifier is not None:  # images: mostly zero
        inputs = inputs.abs() * (torch.rand(inputs.shape, generator=generator) < 0.2)
        targets = targets.argmax(-1)

    def fit(config: FitConfig) -> Population:
        return fit_population(spec, inputs, targets, torch.arange(size), config).population

    population = fit(dataclasses.replace(config, steps=1))  # compiles the kernel
    seconds = timed(lambda: fit(config)) * recipe.fit.steps / steps
    if recipe.classifier is not None:  # accuracies and masks, on about so many images
        images = 10_000 + recipe.classifier.scored
        seconds += timed(lambda: outputs(population, inputs)) * images / len(inputs)
    return seconds / size


def _kind(plan: Plan) -> Hashable:
    """Runs that take as long as each other."""
    return plan.recipe.spec, plan.model, plan.features, plan.training.precision, plan.training.batch_size


def _graphs(plan: Plan) -> float:
    """Training steps' worth of graphs: a validation graph costs a third of one that is trained on."""
    return plan.training.epochs * (plan.graphs + plan.recipe.val / 3)


def seconds_a_graph(plan: Plan, device: str) -> float:
    """Time a training step on KAN-graphs that are there, in seconds per graph."""
    size = min(GRAPHS, plan.training.batch_size)
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

    first = timed(step)
    return min(timed(step) for _ in range(3 if first < 5 else 1)) / size


def timed(function: Callable[[], object]) -> float:
    """Seconds that it takes once."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin
