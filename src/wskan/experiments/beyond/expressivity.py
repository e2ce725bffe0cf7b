"""Section 4: a WS-KAN replays the forward pass of KANs, with an error by the width of its MLP.

An MLP learns every edge function of a family (Lemma 4.1, :mod:`wskan.experiments.beyond.kan_family`). Its weights are
put into a WS-KAN (Proposition 4.2, :mod:`wskan.models.replay`), which is not trained. This WS-KAN reads fresh random
KANs with their inputs, and its outputs are compared with theirs.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from wskan.experiments.beyond.kan_family import LEAST_BATCH, KANFamily, LemmaConfig, fit_univariate
from wskan.experiments.engine.cost import time_once
from wskan.experiments.engine.experiment import Experiment, ExperimentResult, Request
from wskan.experiments.engine.table import Cell, Table
from wskan.experiments.engine.workspace import Workspace
from wskan.graph import FeatureConfig, kan_graph
from wskan.kan import Population
from wskan.models import UnivariateMLP, replay_model, with_inputs

DEPTHS = (1, 2, 3, 4)
FRESH = 2**40  # seed of KANs and points that no MLP is trained on
POINTS = 2**16  # points to compare the MLP itself at


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """The sizes of the experiment. The names of the fields are part of the protocol.

    Args:
        family: the KANs.
        lemma: training of the MLP.
        widths: widths of the MLP's hidden layers.
        kans: number of random KANs of each depth.
        inputs: number of random inputs of each KAN.
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
    """Draw K fresh KANs of a depth, and the inputs of each, ``[K, N, n_0]``."""
    generator = torch.Generator().manual_seed(FRESH + depth)
    population = sizes.family.kans(generator, depth, sizes.kans)
    return population, 2 * torch.rand(sizes.kans, sizes.inputs, population.spec.widths[0], generator=generator) - 1


@torch.no_grad()
def lemma_errors(psi: UnivariateMLP, family: KANFamily) -> Tensor:
    """Compute ``|MLP(x, e) - psi(x; e)|`` (Lemma 4.1).

    Half of the points are uniform in the compact set, and half have parameters at its vertices.
    """
    generator = torch.Generator().manual_seed(FRESH)
    points = torch.cat([family.sample(generator, POINTS // 2, density=density) for density in ("uniform", "vertices")])
    x, edges = points[:, 0], points[:, 1:]
    values: Tensor = psi(x, edges)
    return (values - family.edge_function(x, edges)).abs()


@torch.no_grad()
def replay_errors(psi: UnivariateMLP, sizes: Sizes, depth: int) -> tuple[Tensor, int]:
    """Compute ``|WS-KAN(G) - f(x)|`` for fresh random KANs and inputs (Proposition 4.2).

    Returns:
        The errors, and the number of parameters of the WS-KAN.
    """
    population, x = fresh_kans(sizes, depth)
    model, graph = replay_model(psi, population.spec.widths), kan_graph(population, FeatureConfig(form="raw"))
    outputs = []
    for index, inputs in enumerate(x):
        repeated = graph[torch.full((sizes.inputs,), index)]  # the KAN's graph once per input
        outputs.append(model(with_inputs(repeated, inputs)))
    return (torch.stack(outputs) - population(x)).abs(), model.num_parameters


Records = dict[tuple[int, int], dict[str, Any]]  # measurements by width and seed
ROWS = {"psi": "an edge function (Lemma 4.1)", **{str(d): f"{d} layer{'s' * (d > 1)}" for d in DEPTHS}}
SHAPE = {
    "train_seconds": float,
    "rows": {row: {"sup": float, "rms": float, "parameters": int} for row in ("psi", *map(str, DEPTHS))},
}


def measure(sizes: Sizes, width: int, seed: int) -> dict[str, Any]:
    """Train an MLP, construct WS-KANs from it, and measure the errors of both.

    Returns:
        Seconds of training, and by row of the tables the supremum and root mean square of the errors.
    """
    begin = time.perf_counter()
    psi = fit_univariate(sizes.family, sizes.lemma, width, seed)
    seconds = round(time.perf_counter() - begin, 1)
    num_parameters = sum(parameter.numel() for parameter in psi.parameters())
    rows = {"psi": _error_record(lemma_errors(psi, sizes.family), num_parameters)}
    rows |= {str(depth): _error_record(*replay_errors(psi, sizes, depth)) for depth in DEPTHS}
    return {"train_seconds": seconds, "rows": rows}


def _error_record(errors: Tensor, num_parameters: int) -> dict[str, float | int]:
    return {"sup": float(errors.max()), "rms": float(errors.square().mean().sqrt()), "parameters": num_parameters}


def settings(request: Request) -> dict[str, Any]:
    """Return all settings that the numbers depend on."""
    return dataclasses.asdict(SIZES[request.scale.name])


def key(sizes: Sizes, width: int, seed: int) -> dict[str, Any]:
    """Return the key of the measurements with one MLP."""
    rest = {name: value for name, value in dataclasses.asdict(sizes).items() if name != "widths"}
    return {"experiment": "expressivity", **rest, "width": width, "seed": seed}


def seconds(workspace: Workspace, request: Request) -> float:
    """Estimate the time of the missing MLPs, from a few steps and a few KANs."""
    sizes = SIZES[request.scale.name]
    few = dataclasses.replace(sizes, kans=2, inputs=min(sizes.inputs, 16))
    lemma = dataclasses.replace(sizes.lemma, steps=min(sizes.lemma.steps, 20), samples=2**13)
    total = 0.0
    for width in sizes.widths:
        missing = sum(not workspace.is_measured(key(sizes, width, seed)) for seed in request.seeds)
        if missing:
            psi = fit_univariate(sizes.family, lemma, width, 0)
            step = time_once(partial(fit_univariate, sizes.family, lemma, width, 0)) / lemma.steps
            replay = sum(time_once(partial(replay_errors, psi, few, depth)) for depth in DEPTHS)
            share = few.kans * few.inputs / (sizes.kans * sizes.inputs)
            total += missing * (step * sizes.lemma.steps + replay / share)
    return total


def analyse(workspace: Workspace, request: Request) -> ExperimentResult:
    """Return the errors by width of the MLP, one value per seed."""
    sizes = SIZES[request.scale.name]
    records: Records = {}
    for seed, width in itertools.product(request.seeds, sizes.widths):
        compute = partial(measure, sizes, width, seed)
        records[width, seed] = workspace.cached(key(sizes, width, seed), compute, SHAPE)
    supremum = _table(sizes, records, "sup", "supremum", notes(sizes))
    return ExperimentResult(tables=(supremum, _table(sizes, records, "rms", "root mean square", ())))


def _table(sizes: Sizes, records: Records, kind: str, name: str, notes: Sequence[str]) -> Table:
    return Table(
        title=f"Proposition 4.2: {name} error",
        unit=f"{name} error",
        better="lower",
        rows=ROWS,
        columns={str(width): str(width) for width in sizes.widths},
        cells={(row, str(width)): _cell(records, row, width, kind) for row in ROWS for width in sizes.widths},
        kind="lines",
        log=True,
        log_columns=True,
        axis="width of the MLP",
        groups={row: row for row in ROWS},
        notes=notes,
    )


def _cell(records: Records, row: str, width: int, kind: str) -> Cell:
    by_seed = {seed: record for (w, seed), record in records.items() if w == width}
    first, *_ = by_seed.values()
    return Cell(
        values=tuple(record["rows"][row][kind] for record in by_seed.values()),
        facts={
            "parameters": first["rows"][row]["parameters"],
            "train_seconds": [record["train_seconds"] for record in by_seed.values()],
            "seeds": list(by_seed),
            "runs": [f"{row}-width{width}-seed{seed}" for seed in by_seed],
        },
    )


def notes(sizes: Sizes) -> list[str]:
    """Return the notes for the reader."""
    family, lemma, n = sizes.family, sizes.lemma, sizes.family.neurons
    spread, varying = [], []
    for depth in DEPTHS:
        outputs, inputs_alone = variation(sizes, depth)
        spread.append(f"{float(outputs.std()):.2f} and {float(outputs.abs().max()):.2f}")
        varying.append(f"{float(inputs_alone.square().mean().sqrt()):.3f} and {float(inputs_alone.abs().max()):.2f}")
    return [
        "Errors of a WS-KAN that replays the forward pass of KANs it has not seen. It is not trained: its weights are "
        f"constructed from those of an MLP with {lemma.depth} hidden layers of the given width, by eqs. 11-14. "
        f"The supremum is over {sizes.kans} fresh random KANs of each depth, with all parameters at an end of their "
        f"range, and {sizes.inputs} inputs of each KAN, uniform in [-1, 1], in single precision. For the edge "
        f"function, it is over {POINTS:,} points.",
        f"The KANs have {n} neurons per layer and one output, G={family.grid}, k={family.degree}, "
        f"|w_b| <= 1/{3 * n}, 1/{2 * n} <= w_s <= 3/{4 * n}, |c| <= 1: no neuron leaves the domain [-1, 1]. "
        f"Standard deviation and largest size of their outputs, by depth: {'; '.join(spread)}. "
        "Predicting each KAN's mean output, whatever the input, would have a root mean square and supremum error of "
        f"{'; '.join(varying)}.",
        f"The MLP is trained on {lemma.samples:,} points, half of them denser towards the ends of the ranges and half "
        f"with all parameters at an end. It takes {lemma.steps:,} steps of Adam on {lemma.batch} points per unit of "
        f"width, at least {LEAST_BATCH}. The paper proves the section and gives no numbers.",
    ]


@torch.no_grad()
def variation(sizes: Sizes, depth: int) -> tuple[Tensor, Tensor]:
    """Return the outputs of the fresh KANs, ``[K, N, 1]``, and their differences from each KAN's mean output."""
    population, x = fresh_kans(sizes, depth)
    outputs = population(x)
    return outputs, outputs - outputs.mean(1, keepdim=True)


expressivity = Experiment(
    name="expressivity", plans=lambda request: [], analyse=analyse, settings=settings, seconds=seconds
)
