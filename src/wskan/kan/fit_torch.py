"""Fit a population in plain PyTorch: the reference for the C++ kernel, used on CUDA and without a compiler."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from wskan.kan.adapt_grid import adapt_grid
from wskan.kan.fit_config import FitConfig, FitProblem
from wskan.kan.layer import Layer
from wskan.kan.minibatches import minibatches
from wskan.kan.population import Population

TRAINED = ("base_weight", "spline_weight", "coef")
CHUNK = {"cpu": 64, "cuda": 512}  # KANs trained at a time: their activations take at most a few hundred megabytes
DRAW = 50  # steps whose mini-batches are drawn at a time
EVALUATED = 4_096  # about so many evenly spread points are enough for the final loss (as in csrc/trainer.h)
PIECE = 256  # points evaluated at a time for the final loss


def fit_chunks(problem: FitProblem, *, compiled: bool) -> tuple[Population, Tensor]:
    """Fit chunk after chunk on the device of the inputs.

    Args:
        problem: the KANs and their data.
        compiled: use ``torch.compile``.

    Returns:
        The fitted KANs and their losses ``[K]`` float64, on the CPU.
    """
    total, device = len(problem.population), problem.inputs.device
    size = CHUNK.get(device.type, 64)
    fitted, losses = [], []
    for begin in range(0, total, size):
        rows = torch.arange(begin, min(begin + size, total))
        count = len(rows)
        if count == 1:  # a batched product of one matrix is rounded differently, and training amplifies it
            rows = rows.repeat(2)
        population, loss = _fit(problem.select(rows), compiled)
        fitted.append(population[:count].to("cpu"))
        losses.append(loss[:count].double().cpu())
        if problem.progress is not None:
            problem.progress(begin + count)
    return Population.cat(fitted), torch.cat(losses)


def _fit(problem: FitProblem, compiled: bool) -> tuple[Population, Tensor]:
    """Fit the KANs of one chunk all together."""
    config, spec = problem.config, problem.population.spec
    batch_loss = torch.compile(_batch_loss, dynamic=False) if compiled else _batch_loss
    rates, updates = config.rates(), config.update_steps()
    population = Population(spec, [_trainable(layer) for layer in problem.population.to(problem.inputs.device).layers])
    parameters = [getattr(layer, name) for layer in population.layers for name in TRAINED]
    optimizer = torch.optim.Adam(parameters, lr=config.lr, fused=True)
    for step, (x, y) in enumerate(_batches(problem)):
        if step in updates:
            with torch.no_grad():
                population = _write_back(population, adapt_grid(population, x, config.grid_eps, config.rcond))
        optimizer.param_groups[0]["lr"] = rates[step]
        optimizer.zero_grad()
        batch_loss(population, x, y, config.loss).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        population = Population(spec, [layer.map(Tensor.detach) for layer in population.layers])
        return population, _final_loss(population, problem.inputs, problem.targets, config)


def _batches(problem: FitProblem) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the inputs ``[K, B, in]`` and targets ``[K, B, ...]`` of every step."""
    config, device = problem.config, problem.inputs.device
    size, points = problem.targets.shape[:2]
    rows = torch.arange(size, device=device)[:, None]
    input_rows = torch.zeros_like(rows) if problem.inputs.shape[0] == 1 else rows
    for begin in range(0, config.steps, DRAW):
        steps = range(begin, min(begin + DRAW, config.steps))
        drawn = minibatches(problem.seeds, steps, points, config.batch_size).to(device)
        for index in drawn.unbind(1):
            yield problem.inputs[input_rows, index], problem.targets[rows, index]


def _final_loss(population: Population, inputs: Tensor, targets: Tensor, config: FitConfig) -> Tensor:
    """Compute the loss of each KAN ``[K]`` on evenly spread points: all of them, or about ``EVALUATED``."""
    size, points = targets.shape[:2]
    every = max(1, points // max(EVALUATED, min(config.batch_size, points)))
    count = points // every
    x, y = (tensor[:, ::every][:, :count] for tensor in (inputs, targets))
    pieces = zip(torch.split(x.expand(size, -1, -1), PIECE, 1), torch.split(y, PIECE, 1), strict=True)
    return torch.stack([_batch_loss(population, x, y, config.loss) * x.shape[1] for x, y in pieces]).sum(0) / count


def _batch_loss(population: Population, x: Tensor, y: Tensor, loss: str) -> Tensor:
    """Compute the mean loss of each KAN ``[K]``; the gradient of their sum keeps the KANs apart."""
    prediction = population(x)
    if loss == "mse":
        return (prediction - y).square().mean((1, 2))
    return F.cross_entropy(prediction.flatten(0, 1), y.flatten(), reduction="none").view(y.shape).mean(1)


def _trainable(layer: Layer) -> Layer:
    fields = {name: getattr(layer, name).clone().requires_grad_() for name in TRAINED}
    return Layer(**fields, mask=layer.mask, knots=layer.knots)


def _write_back(old: Population, new: Population) -> Population:
    """Return the new knots with the old tensors, which the optimiser holds and which get the refitted coefficients."""
    layers = []
    for before, after in zip(old.layers, new.layers, strict=True):
        before.coef.copy_(after.coef)
        layers.append(Layer(**{name: getattr(before, name) for name in TRAINED}, mask=before.mask, knots=after.knots))
    return Population(old.spec, layers)
