"""Fit populations: every KAN with its own target and its own seed."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from wskan.errors import DataError, DivergedError, ShapeError
from wskan.kan import kernel
from wskan.kan.adapt_grid import check_adapts
from wskan.kan.fit_config import Engine, FitConfig, FitProblem, FitResult
from wskan.kan.fit_torch import fit_chunks
from wskan.kan.minibatches import derive_seed
from wskan.kan.population import Population
from wskan.kan.spec import KANSpec
from wskan.runtime import resolve_device

PATIENCE = 100  # KANs fitted for fewer steps may still be worse than a constant


def fit_population(
    spec: KANSpec,
    inputs: Tensor,
    targets: Tensor,
    seeds: Tensor,
    config: FitConfig | None = None,
    *,
    engine: Engine = "auto",
    device: torch.device | str | None = None,
    max_retries: int = 3,
    progress: Callable[[int], None] | None = None,
) -> FitResult:
    """Fit K KANs of one specification, each to its own target from its own seed.

    The result for a KAN does not depend on the others: bit for bit with the kernel, up to rounding elsewhere. A KAN
    that diverges is fitted again with a seed derived from its own. It has diverged if a number is not finite. From 100
    steps on, it also has if its squared error is above that of the best constant.

    Args:
        spec: the architecture.
        inputs: ``[N, in]`` for all KANs, or ``[K, N, in]``.
        targets: ``[K, N, out]`` floating point for the squared error, ``[K, N]`` int64 class indices for cross-entropy.
        seeds: ``[K]`` int64, not negative; seeds of initial weights and mini-batches.
        config: defaults to ``FitConfig()``.
        engine: ``"kernel"`` (C++, one KAN per CPU core), ``"torch"``, ``"compile"`` (PyTorch with ``torch.compile``)
            or ``"auto"``, the kernel on CPUs if it can be built.
        device: device of the PyTorch engines, the CPU by default.
        max_retries: number of new seeds for a diverged KAN.
        progress: called from time to time with the number of KANs fitted so far.

    Raises:
        ShapeError: a tensor does not fit the specification.
        DataError: a number is not finite, the engine cannot run here, or the grids cannot be adapted.
        DivergedError: a KAN diverges with every seed.

    Example:
        >>> import torch
        >>> from wskan.kan import FitConfig, KANSpec, fit_population
        >>> x = torch.linspace(-1, 1, 100).unsqueeze(1)  # 100 points of one input
        >>> targets = torch.stack([x.square(), x.sin()])  # one function per KAN
        >>> config = FitConfig(steps=50, batch_size=100)
        >>> fit = fit_population(KANSpec(widths=(1, 3, 1)), x, targets, torch.tensor([0, 1]), config, engine="torch")
        >>> fit.population
        Population(2 KANs [1, 3, 1], bspline, G=5, k=3)
        >>> bool((fit.loss < 0.01).all())
        True
    """
    config = config or FitConfig()
    inputs = inputs.unsqueeze(0) if inputs.ndim == 2 else inputs
    _check(spec, inputs, targets, seeds, config)
    run = _engine(engine, spec, resolve_device(device or "cpu"))
    fresh = functools.partial(Population.init, spec, noise_scale=config.noise_scale)
    problem = FitProblem(
        population=fresh(seeds), inputs=inputs, targets=targets, seeds=seeds, config=config, progress=progress
    )
    attempts = torch.zeros_like(seeds)
    population, loss = run(problem)
    for attempt in range(1, max_retries + 1):
        if not (bad := _diverged(population, loss, targets, config)).any():
            break
        seeds = torch.where(bad, derive_seed(seeds, attempt), seeds)
        attempts = torch.where(bad, attempt, attempts)
        rows = bad.nonzero().squeeze(1)
        retry = dataclasses.replace(
            problem.select(rows), population=fresh(seeds[rows]), seeds=seeds[rows], progress=None
        )
        again, loss[rows] = run(retry)
        population = _replace(population, rows, again)
    if (bad := _diverged(population, loss, targets, config)).any():
        raise DivergedError(
            f"KANs {bad.nonzero().squeeze(1).tolist()[:10]} of {len(seeds)} diverged with all {max_retries + 1} seeds "
            f"(losses {loss[bad].tolist()[:10]}); lower lr ({config.lr}) or check their targets"
        )
    return FitResult(population=population, loss=loss, seeds=seeds, attempts=attempts)


def _engine(engine: Engine, spec: KANSpec, device: torch.device) -> Callable[[FitProblem], tuple[Population, Tensor]]:
    """Return the function that fits; for ``"auto"``, choose the engine."""
    if engine not in ("auto", "kernel", "torch", "compile"):
        raise DataError(f"unknown engine {engine!r}; choose auto, kernel, torch or compile")
    if engine == "kernel" or (engine == "auto" and device.type == "cpu"):
        reason = kernel.unavailable(spec)
        if reason is None and device.type == "cpu":
            return kernel.fit
        if engine == "kernel":
            raise DataError(f"the C++ kernel cannot run here: {reason or f'it runs on the CPU, not on {device}'}")
        warnings.warn(f"fitting with PyTorch instead of the C++ kernel, several times slower: {reason}", stacklevel=3)

    def run(problem: FitProblem) -> tuple[Population, Tensor]:
        there = dataclasses.replace(problem, inputs=problem.inputs.to(device), targets=problem.targets.to(device))
        return fit_chunks(there, compiled=engine == "compile")

    return run


def _check(spec: KANSpec, inputs: Tensor, targets: Tensor, seeds: Tensor, config: FitConfig) -> None:
    size, n_in, n_out = len(seeds), spec.widths[0], spec.widths[-1]
    if config.adapt_grid:
        check_adapts(spec.basis_functions)
    if seeds.ndim != 1 or seeds.dtype != torch.int64 or size == 0 or bool((seeds < 0).any()):
        raise ShapeError(f"seeds must be [K] int64 and not negative, got {tuple(seeds.shape)} {seeds.dtype}")
    if inputs.ndim != 3 or inputs.shape[0] not in (1, size) or inputs.shape[1] == 0 or inputs.shape[2] != n_in:
        raise ShapeError(f"inputs must be [N, {n_in}] or [{size}, N, {n_in}], got {tuple(inputs.shape)}")
    points = inputs.shape[1]
    if config.loss == "mse":
        if tuple(targets.shape) != (size, points, n_out) or not targets.is_floating_point():
            raise ShapeError(
                f"targets must be [{size}, {points}, {n_out}] floating point, "
                f"got {tuple(targets.shape)} {targets.dtype}"
            )
    elif tuple(targets.shape) != (size, points) or targets.dtype != torch.int64:
        raise ShapeError(f"targets must be [{size}, {points}] int64, got {tuple(targets.shape)} {targets.dtype}")
    elif bool(((targets < 0) | (targets >= n_out)).any()):
        raise DataError(
            f"class indices must be from 0 to {n_out - 1}, got {int(targets.min())} to {int(targets.max())}"
        )
    if not bool(inputs.isfinite().all()) or not bool(targets.isfinite().all()):
        raise DataError("inputs and targets must be finite")


def _diverged(population: Population, loss: Tensor, targets: Tensor, config: FitConfig) -> Tensor:
    """Return which KANs have diverged, ``[K]`` bool."""
    bad = ~(population.is_finite() & loss.isfinite())
    if config.loss == "mse" and config.steps >= PATIENCE:
        spread = targets.double().var(1, correction=0).mean(1)  # the squared error of the best constant
        bad |= loss > spread.clamp_min(1e-4)
    return bad


def _replace(population: Population, rows: Tensor, new: Population) -> Population:
    """Replace the KANs in ``rows``."""
    order = torch.arange(len(population))
    order[rows] = len(population) + torch.arange(len(new))
    return Population.cat([population, new])[order]
