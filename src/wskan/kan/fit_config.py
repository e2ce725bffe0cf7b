"""The configuration of a fit, what an engine gets, and the result."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

from torch import Tensor

from wskan.errors import DataError
from wskan.kan.population import Population
from wskan.reading import boolean, build, number, shown, whole

Engine = Literal["auto", "kernel", "torch", "compile"]
FINAL_RATE = 0.01  # final learning rate of the decay, as a share of the first


@dataclasses.dataclass(frozen=True, kw_only=True)
class FitConfig:
    """The training of KANs: Adam with one mini-batch per step, as in pykan's ``fit`` (paper, C.1.1).

    The paper's "epochs" are these steps.

    Args:
        steps: number of steps.
        batch_size: points per mini-batch, drawn without replacement at each step.
        lr: learning rate.
        schedule: ``"constant"`` (as the paper is written), or ``"decay"``: constant over the first half of the steps,
            then linear down to 1 %.
        loss: ``"mse"`` or ``"cross_entropy"``.
        adapt_grid: whether the knots follow the activations; B-splines only.
        grid_eps: see :func:`wskan.kan.adapt_grid`.
        grid_updates: number of grid updates (pykan's ``grid_update_num``).
        grid_update_until: number of first steps over which they are spread (pykan's ``stop_grid_update_step``).
        rcond: see :func:`wskan.kan.adapt_grid`.
        noise_scale: see :meth:`wskan.kan.Population.init`.

    Raises:
        DataError: a value is out of range.
    """

    steps: int = 1000
    batch_size: int = 128
    lr: float = 0.01
    schedule: Literal["constant", "decay"] = "decay"
    loss: Literal["mse", "cross_entropy"] = "mse"
    adapt_grid: bool = True
    grid_eps: float = 0.02
    grid_updates: int = 10
    grid_update_until: int = 50
    rcond: float | None = None
    noise_scale: float | None = None

    def __post_init__(self) -> None:
        for name, value, low in (
            ("steps", self.steps, 0),
            ("batch_size", self.batch_size, 1),
            ("grid_updates", self.grid_updates, 1),
            ("grid_update_until", self.grid_update_until, self.grid_updates),
        ):
            whole(value, f"FitConfig: {name}", low, 10_000_000)
        if self.schedule not in ("constant", "decay") or self.loss not in ("mse", "cross_entropy"):
            raise DataError(f"FitConfig: unknown schedule {shown(self.schedule)} or loss {shown(self.loss)}")
        boolean(self.adapt_grid, "FitConfig: adapt_grid")
        number(self.lr, "FitConfig: lr", 1e-30, 1e3)
        number(self.grid_eps, "FitConfig: grid_eps", 0, 1)
        if self.rcond is not None:
            number(self.rcond, "FitConfig: rcond", 1e-30, 1)
        if self.noise_scale is not None:
            number(self.noise_scale, "FitConfig: noise_scale", 0, 100)

    def rates(self) -> list[float]:
        """Return the learning rate of every step."""
        half = self.steps // 2
        if self.schedule == "constant" or self.steps - half < 2:
            return [self.lr] * self.steps
        slope = (1 - FINAL_RATE) / (self.steps - half - 1)
        return [self.lr * (1 - slope * max(step - half, 0)) for step in range(self.steps)]

    def update_steps(self) -> frozenset[int]:
        """Return the steps that begin with a grid update."""
        if not self.adapt_grid:
            return frozenset()
        every = self.grid_update_until // self.grid_updates
        return frozenset(range(0, min(self.grid_update_until, self.steps), every))

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON types, the inverse of :meth:`from_dict`."""
        data = dataclasses.asdict(self)  # leaving None out keeps the digests of older recipes
        return {name: value for name, value in data.items() if value is not None}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FitConfig:
        """Build a configuration from JSON types.

        Raises:
            DataError: unknown keys, wrong types, or values out of range.
        """
        return build(cls, data, "fit configuration")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FitProblem:
    """The KANs, data and settings that an engine gets.

    Attributes:
        population: K KANs with initial weights.
        inputs: ``[1 or K, N, in]``.
        targets: ``[K, N, out]`` floating point, or ``[K, N]`` int64 class indices.
        seeds: ``[K]`` int64, seeds of the mini-batches.
        config: see :class:`FitConfig`.
        progress: called with the number of KANs fitted so far.
    """

    population: Population
    inputs: Tensor
    targets: Tensor
    seeds: Tensor
    config: FitConfig
    progress: Callable[[int], None] | None = None

    def select(self, rows: Tensor) -> FitProblem:
        """Return the problem of some of the KANs, ``rows`` int64."""
        return dataclasses.replace(
            self,
            population=self.population[rows],
            inputs=self.inputs if self.inputs.shape[0] == 1 else self.inputs[rows],
            targets=self.targets[rows],
            seeds=self.seeds[rows],
        )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FitResult:
    """The result of :func:`fit_population`.

    Attributes:
        population: the K fitted KANs, on the CPU.
        loss: ``[K]`` float64, mean final loss over all N points. From 8,192 points on, it is measured on 4,096 or a few
            more, evenly spread.
        seeds: ``[K]`` int64, the seed with which each KAN was finally fitted.
        attempts: ``[K]`` int64, the number of seeds that diverged before.
    """

    population: Population
    loss: Tensor
    seeds: Tensor
    attempts: Tensor
