"""Fitting a population in plain PyTorch: the reference for the C++ kernel, and what runs on CUDA and where there is no compiler."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from wskan.kan.adapt_grid import adapt_grid
from wskan.kan.fit_config import FitConfig
from wskan.kan.layer import Layer
from wskan.kan.minibatches import minibatches
from wskan.kan.population import Population

TRAINED = ("base_weight", "spline_weight", "coef")
CHUNK = {"cpu": 64, "cuda": 512}  # KANs trained at once: a chunk's activations stay within a few hundred megabytes
DRAW = 50  # steps whose mini-batches are drawn at once
EVALUATED = 4_096  # about so many points, evenly spread, are enough for the final loss (as in csrc/trainer.h)


def fit_chunks(
    population: Population,
    inputs: Tensor,
    targets: Tensor,
    seeds: Tensor,
    config: FitConfig,
    *,
    compiled: bool,
    progress: Callable[[int], None] | None,
) -> tuple[Population, Tensor]:
    """Fit chunk after chunk on the device of ``inputs``; arguments as :func:`wskan.kan.fit.fit_population`'s."""
    device, fitted, losses = inputs.device, [], []
    size = CHUNK.get(device.type, 64)
    for begin in range(0, len(population), size):
        rows = slice(begin, begin + size)
        own = inputs if inputs.shape[0] == 1 else inputs[rows]
        chunk = population[rows].to(device)
        target, seed, count = targets[rows], seeds[rows], len(chunk)
        if count == 1:  # a batched product of one takes another path with other rounding, and training amplifies it
            chunk, target, seed = (
                Population.cat([chunk, chunk]),
                target.repeat(2, 1, *[1] * (target.ndim - 2)),
                seed.repeat(2),
            )
            own = own if own.shape[0] == 1 and inputs.shape[0] == 1 else own.repeat(2, 1, 1)
        result, loss = _fit(chunk, own, target, seed, config, compiled)
        fitted.append(result[:count].to("cpu"))
        losses.append(loss[:count].double().cpu())
        if progress is not None:
            progress(min(begin + size, len(population)))
    return Population.cat(fitted), torch.cat(losses)


def _fit(
    population: Population, inputs: Tensor, targets: Tensor, seeds: Tensor, config: FitConfig, compiled: bool
) -> tuple[Population, Tensor]:
    size, points = targets.shape[:2]
    rates, updates = config.rates(), config.update_steps()
    rows = torch.arange(size, device=inputs.device)[:, None]
    function = _batch_loss
    if compiled:
        function = torch.compile(_batch_loss, dynamic=False)
    optimizer = None
    for step in range(config.steps):
        if step % DRAW == 0:
            steps = range(step, min(step + DRAW, config.steps))
            drawn = minibatches(seeds, steps, points, config.batch_size).to(inputs.device)
        index = drawn[:, step % DRAW]
        x, y = inputs[rows if inputs.shape[0] > 1 else torch.zeros_like(rows), index], targets[rows, index]
        if step in updates:
            with torch.no_grad():
                population = _write_back(population, adapt_grid(population, x, config.grid_eps, config.rcond))
        if optimizer is None:  # after the first grid update, so that the tensors it owns are the final ones
            population = Population(population.spec, [_trainable(layer) for layer in population.layers])
            parameters = [getattr(layer, name) for layer in population.layers for name in TRAINED]
            optimizer = torch.optim.Adam(parameters, lr=config.lr, fused=True)
        optimizer.param_groups[0]["lr"] = rates[step]
        optimizer.zero_grad()
        function(population, x, y, config.loss).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        population = Population(population.spec, [layer.map(Tensor.detach) for layer in population.layers])
        every = max(1, points // max(EVALUATED, min(config.batch_size, points)))
        count = points // every
        chosen, wanted = (tensor[:, ::every][:, :count] for tensor in (inputs, targets))
        full = chosen.expand(size, -1, -1)
        parts = [_batch_loss(population, x, y, config.loss) * x.shape[1] for x, y in _pieces(full, wanted)]
        return population, torch.stack(parts).sum(0) / count


def _batch_loss(population: Population, x: Tensor, y: Tensor, loss: str) -> Tensor:
    """Mean loss of each KAN ``[K]``; the sum over KANs keeps their gradients apart."""
    prediction = population(x)
    if loss == "mse":
        return (prediction - y).square().mean((1, 2))
    return F.cross_entropy(prediction.flatten(0, 1), y.flatten(), reduction="none").view(y.shape).mean(1)


def _trainable(layer: Layer) -> Layer:
    fields = {name: getattr(layer, name).clone().requires_grad_() for name in TRAINED}
    return Layer(**fields, mask=layer.mask, knots=layer.knots)


def _write_back(old: Population, new: Population) -> Population:
    """The new knots, with the refitted coefficients written into the old tensors, which the optimiser holds."""
    layers = []
    for before, after in zip(old.layers, new.layers, strict=True):
        before.coef.copy_(after.coef)
        layers.append(Layer(**{name: getattr(before, name) for name in TRAINED}, mask=before.mask, knots=after.knots))
    return Population(old.spec, layers)


def _pieces(inputs: Tensor, targets: Tensor, length: int = 256) -> list[tuple[Tensor, Tensor]]:
    begins = range(0, inputs.shape[1], length)
    return [(inputs[:, begin : begin + length], targets[:, begin : begin + length]) for begin in begins]
