"""Fitting a population: every KAN with its own target and its own seed, all at once."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from wskan.errors import DataError, DivergedError, ShapeError, reason
from wskan.kan import kernel
from wskan.kan.adapt_grid import check_adapts
from wskan.kan.fit_config import Engine, FitConfig, FitResult
from wskan.kan.fit_torch import fit_chunks
from wskan.kan.minibatches import derive_seed
from wskan.kan.population import Population
from wskan.kan.spec import KANSpec
from wskan.reading import shown

PATIENCE = 100  # a KAN fitted for fewer steps may still be worse than a constant


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

    A KAN's result does not depend on the others: to the bit in the kernel, to rounding elsewhere. A KAN that diverges (anything not finite or, from 100 steps on, a squared
    error above that of the best constant) is fitted again with a seed derived from its own.

    Args:
        spec: their architecture.
        inputs: ``[N, in]`` for all KANs alike, or ``[K, N, in]``.
        targets: ``[K, N, out]`` floating point for the squared error, ``[K, N]`` int64 class indices for cross-entropy.
        seeds: ``[K]`` int64, not negative: of initial weights and of mini-batches.
        config: defaults to ``FitConfig()``.
        engine: ``"kernel"`` (C++, one KAN a CPU core), ``"torch"``, ``"compile"`` (torch under ``torch.compile``), or ``"auto"``: the kernel on CPUs where it can be built.
        device: where the torch engines run; default the CPU.
        max_retries: how many new seeds a diverged KAN gets.
        progress: called now and then with the number of KANs fitted so far.

    Raises:
        ShapeError: tensors that do not fit the specification.
        DataError: inputs or targets that are not finite, an engine that cannot run here, or grids to adapt that stay as they are.
        DivergedError: KANs that diverge with every seed.
    """
    config = config or FitConfig()
    inputs = inputs.unsqueeze(0) if inputs.ndim == 2 else inputs
    _check(spec, inputs, targets, seeds, config)
    run = _engine(engine, spec, _device(device))
    fresh = functools.partial(Population.init, spec, noise_scale=config.noise_scale)
    attempts = torch.zeros_like(seeds)
    population, loss = run(fresh(seeds), inputs, targets, seeds, config, progress)
    for attempt in range(1, max_retries + 1):
        if not (bad := _diverged(population, loss, targets, config)).any():
            break
        seeds = torch.where(bad, derive_seed(seeds, attempt), seeds)
        attempts = torch.where(bad, attempt, attempts)
        rows = bad.nonzero().squeeze(1)
        own = inputs if inputs.shape[0] == 1 else inputs[rows]
        again, loss[rows] = run(fresh(seeds[rows]), own, targets[rows], seeds[rows], config, None)
        population = _replace(population, rows, again)
    if (bad := _diverged(population, loss, targets, config)).any():
        raise DivergedError(
            f"KANs {bad.nonzero().squeeze(1).tolist()[:10]} of {len(seeds)} diverge with {max_retries + 1} seeds each "
            f"(losses {loss[bad].tolist()[:10]}); lower lr ({config.lr}) or check their targets"
        )
    return FitResult(population=population, loss=loss, seeds=seeds, attempts=attempts)


_Run = Callable[
    [Population, Tensor, Tensor, Tensor, FitConfig, Callable[[int], None] | None], tuple[Population, Tensor]
]


def _engine(engine: Engine, spec: KANSpec, device: torch.device) -> _Run:
    """The function that fits, with the choice of ``"auto"`` made."""
    if engine not in ("auto", "kernel", "torch", "compile"):
        raise DataError(f"unknown engine {engine!r}; choose auto, kernel, torch or compile")
    if engine == "kernel" or (engine == "auto" and device.type == "cpu"):
        reason = kernel.unavailable(spec)
        if reason is None and device.type == "cpu":
            return kernel.fit
        if engine == "kernel":
            raise DataError(f"the C++ kernel cannot run here: {reason or f'it runs on the CPU, not on {device}'}")
        warnings.warn(f"fitting with PyTorch instead of the C++ kernel, several times slower: {reason}", stacklevel=3)

    def run(
        population: Population,
        inputs: Tensor,
        targets: Tensor,
        seeds: Tensor,
        config: FitConfig,
        progress: Callable[[int], None] | None,
    ) -> tuple[Population, Tensor]:
        compiled = engine == "compile"
        inputs, targets = inputs.to(device), targets.to(device)
        return fit_chunks(population, inputs, targets, seeds, config, compiled=compiled, progress=progress)

    return run


def _device(name: torch.device | str | None) -> torch.device:
    try:
        device = torch.device(name or "cpu")
        if device.type == "cuda" and not torch.cuda.is_available():
            raise DataError("no CUDA GPU can be used here; leave the device out for the CPU")
        torch.zeros(
            1, device=device
        ).item()  # fails where there is no such device, and for "meta", which computes nothing
    except (RuntimeError, NotImplementedError, AssertionError, ImportError) as error:
        raise DataError(
            f"no device {shown(str(name))} can be used here ({reason(error):.200}); choose cpu or cuda"
        ) from error
    return device


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
                f"targets must be [{size}, {points}, {n_out}] floating point, got {tuple(targets.shape)} {targets.dtype}"
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
    bad = ~(population.is_finite() & loss.isfinite())
    if config.loss == "mse" and config.steps >= PATIENCE:
        spread = targets.double().var(1, correction=0).mean(1)  # the squared error of the best constant
        bad |= loss > spread.clamp_min(1e-4)
    return bad


def _replace(population: Population, rows: Tensor, new: Population) -> Population:
    """The population with the KANs in ``rows`` replaced."""
    order = torch.arange(len(population))
    order[rows] = len(population) + torch.arange(len(new))
    return Population.cat([population, new])[order]
