"""Section 4: a WS-KAN replays the forward pass of KANs. Supremum errors of Lemma 4.1 and of Proposition 4.2 against the width of the perceptron that they rest on.

A perceptron is trained to be every edge function of a family (:mod:`wskan.experiments.beyond.kan_family`), its weights are put into a WS-KAN (:mod:`wskan.models.replay`), which itself is not
trained, and that one reads fresh random KANs with their inputs and is compared with what they compute.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import torch
from torch import Tensor

from wskan.experiments.beyond.kan_family import LEAST_BATCH, KANFamily, LemmaConfig, fit_univariate
from wskan.experiments.engine.cost import timed
from wskan.experiments.engine.experiment import Experiment, ExperimentResult, Request
from wskan.experiments.engine.table import Cell, Table
from wskan.experiments.engine.workspace import Workspace
from wskan.graph import FeatureConfig, kan_graph
from wskan.kan import Population
from wskan.models import UnivariateMLP, replay_model, with_inputs

DEPTHS = (1, 2, 3, 4)
FRESH = 2**40  # seed of KANs and points that no perceptron has learned from
POINTS = 2**16  # at which the perceptron itself is compared


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of the experiment.

    Args:
        family: the KANs.
        lemma: how the perceptron is trained.
        widths: of its hidden layers.
        kans, inputs: random KANs of each depth, and random inputs of each of them.
    """

    family: KANFamily = dataclasses.field(default_factory=KANFamily)
    lemma: LemmaConfig
    widths: tuple[int, ...]
    kans: int
    inputs: int


SIZES = {
    "smoke": Sizes(lemma=LemmaConfig(steps=50, samples=2**13), widths=(8, 16), kans=4, inputs=8),
    "cpu": Sizes(lemma=LemmaConfig(steps=30_000), widths=(8, 16, 32, 64, 128), kans=128, inputs=32),
    "paper": Sizes(
        lemma=LemmaConfig(steps=200_000), widths=(8, 16, 32, 64, 128, 256), kans=256, inputs=1024
    ),
}  # fmt: skip
SIZES["full"] = SIZES["cpu"]


def fresh_kans(sizes: Sizes, depth: int) -> tuple[Population, Tensor]:
    """Fresh KANs of a depth, K of them, and the inputs of each, ``[K, N, n_0]``."""
    generator = torch.Generator().manual_seed(FRESH + depth)
    population = sizes.family.kans(generator, depth, sizes.kans)
    return population, 2 * torch.rand(sizes.kans, sizes.inputs, population.spec.widths[0], generator=generator) - 1


@torch.no_grad()
def lemma_errors(psi: UnivariateMLP, family: KANFamily) -> Tensor:
    """``|MLP(x, e) - psi(x; e)|`` at random points of the compact set and with parameters at its vertices, as many of each (Lemma 4.1)."""
    generator = torch.Generator().manual_seed(FRESH)
    points = torch.cat([family.sample(generator, POINTS // 2, density=density) for density in ("uniform", "vertices")])
    x, edges = points[:, 0], points[:, 1:]
    found: Tensor = psi(x, edges)
    return (found - family.edge_function(x, edges)).abs()


@torch.no_grad()
def replay_errors(psi: UnivariateMLP, sizes: Sizes, depth: int) -> tuple[Tensor, int]:
    """``|WS-KAN(G) - f(x)|`` for fresh random KANs and inputs (Proposition 4.2), and the number of parameters of that WS-KAN."""
    population, x = fresh_kans(sizes, depth)
    model, graph = replay_model(psi, population.spec.widths), kan_graph(population, FeatureConfig(form="raw"))
    outputs = [
        model(with_inputs(graph[torch.full((sizes.inputs,), index)], inputs)) for index, inputs in enumerate(x)
    ]  # each KAN's graph with each of its inputs
    return (torch.stack(outputs) - population(x)).abs(), model.num_parameters


SHAPE = {
    "train_seconds": float,
    "rows": {row: {"sup": float, "rms": float, "parameters": int} for row in ("psi", *map(str, DEPTHS))},
}


def measure(sizes: Sizes, width: int, seed: int) -> dict[str, Any]:
    """Train a perceptron, construct WS-KANs from it, and compare both with what they stand for: supremum and root mean square of the errors, by row of the tables."""
    begin = time.perf_counter()
    psi = fit_univariate(sizes.family, sizes.lemma, width, seed)
    seconds = round(time.perf_counter() - begin, 1)
    found = {"psi": (lemma_errors(psi, sizes.family), sum(parameter.numel() for parameter in psi.parameters()))}
    found |= {str(depth): replay_errors(psi, sizes, depth) for depth in DEPTHS}
    rows = {
        row: {"sup": float(errors.max()), "rms": float(errors.square().mean().sqrt()), "parameters": parameters}
        for row, (errors, parameters) in found.items()
    }
    return {"train_seconds": seconds, "rows": rows}


def settings(request: Request) -> dict[str, Any]:
    """All that the figures depend on."""
    return dataclasses.asdict(SIZES[request.scale.name])


def key(sizes: Sizes, width: int, seed: int) -> dict[str, Any]:
    """Names what was measured with one perceptron."""
    rest = {name: value for name, value in dataclasses.asdict(sizes).items() if name != "widths"}
    return {"experiment": "expressivity", **rest, "width": width, "seed": seed}


def seconds(workspace: Workspace, request: Request) -> float:
    """For the perceptrons that are missing, from a few steps and a few KANs."""
    sizes = SIZES[request.scale.name]
    few = dataclasses.replace(sizes, kans=2, inputs=min(sizes.inputs, 16))
    lemma = dataclasses.replace(sizes.lemma, steps=min(sizes.lemma.steps, 20), samples=2**13)
    total = 0.0
    for width in sizes.widths:
        missing = sum(not workspace.is_measured(key(sizes, width, seed)) for seed in request.seeds)
        if missing:
            psi = fit_univariate(sizes.family, lemma, width, 0)
            step = timed(lambda width=width: fit_univariate(sizes.family, lemma, width, 0)) / lemma.steps  # type: ignore[misc]
            replay = timed(lambda psi=psi: [replay_errors(psi, few, depth) for depth in DEPTHS])  # type: ignore[misc]
            share = few.kans * few.inputs / (sizes.kans * sizes.inputs)
            total += missing * (step * sizes.lemma.steps + replay / share)
    return total


def find(workspace: Workspace, request: Request) -> ExperimentResult:
    """Errors of perceptrons of each width, one a seed."""
    sizes = SIZES[request.scale.name]
    measured = {
        (width, seed): workspace.cached(key(sizes, width, seed), lambda w=width, s=seed: measure(sizes, w, s), SHAPE)  # type: ignore[misc]
        for seed in request.seeds
        for width in sizes.widths
    }
    rows = {"psi": "an edge function (Lemma 4.1)", **{str(d): f"{d} layer{'s' * (d > 1)}" for d in DEPTHS}}

    def cell(row: str, width: int, kind: str) -> Cell:
        own = [measured[width, seed] for seed in request.seeds]
        return Cell(
            values=tuple(record["rows"][row][kind] for record in own),
            facts={
                "parameters": own[0]["rows"][row]["parameters"],
                "train_seconds": [record["train_seconds"] for record in own],
                "seeds": list(request.seeds),
                "runs": [f"{row}-width{width}-seed{seed}" for seed in request.seeds],
            },
        )

    tables = tuple(
        Table(
            title=f"Proposition 4.2: {name} error",
            unit=f"{name} error",
            better="lower",
            rows=rows,
            columns={str(width): str(width) for width in sizes.widths},
            cells={(row, str(width)): cell(row, width, kind) for row in rows for width in sizes.widths},
            kind="lines",
            log=True,
            log_columns=True,
            axis="width of the perceptron",
            groups={row: row for row in rows},
            notes=notes(sizes) if kind == "sup" else (),
        )
        for kind, name in (("sup", "supremum"), ("rms", "root mean square"))
    )
    return ExperimentResult(tables=tables)


def notes(sizes: Sizes) -> list[str]:
    """What a reader has to know."""
    family, lemma, n = sizes.family, sizes.lemma, sizes.family.neurons
    spread, varying = [], []
    for depth in DEPTHS:
        outputs, inputs_alone = variation(sizes, depth)
        spread.append(f"{float(outputs.std()):.2f} and {float(outputs.abs().max()):.2f}")
        varying.append(f"{float(inputs_alone.square().mean().sqrt()):.3f} and {float(inputs_alone.abs().max()):.2f}")
    return [
        f"How well a WS-KAN replays the forward pass of KANs that it has not seen. It is not trained: its weights are written down from those of a perceptron with {lemma.depth} hidden layers of that width, in eqs. 11-14. "
        f"Supremum over {sizes.kans} fresh random KANs of each depth, with all parameters at an end of their range, and {sizes.inputs} inputs of each, uniform in [-1, 1], in single precision; of the edge function over {POINTS:,} points.",
        f"KANs with {n} neurons a layer and one output, G={family.grid}, k={family.degree}, |w_b| <= 1/{3 * n}, 1/{2 * n} <= w_s <= 3/{4 * n}, |c| <= 1: "
        f"no neuron leaves the domain [-1, 1]. Standard deviation and largest size of their outputs, by depth: {'; '.join(spread)}. "
        f"What ignored the inputs and knew each KAN's mean would err by a root mean square and supremum of {'; '.join(varying)}.",
        f"The perceptron learned from {lemma.samples:,} points, half of them denser towards the ends of the ranges and half with all parameters at an end; {lemma.steps:,} steps of Adam on {lemma.batch} points a unit of width, {LEAST_BATCH} or more. "
        "The paper proves the section and gives no figures.",
    ]


@torch.no_grad()
def variation(sizes: Sizes, depth: int) -> tuple[Tensor, Tensor]:
    """What the fresh KANs compute, ``[K, N, 1]``, and how far that is from each KAN's mean over its inputs."""
    population, x = fresh_kans(sizes, depth)
    outputs = population(x)
    return outputs, outputs - outputs.mean(1, keepdim=True)


expressivity = Experiment(name="expressivity", plans=lambda request: [], find=find, settings=settings, seconds=seconds)
