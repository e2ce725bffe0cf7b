import subprocess
import sys
import threading
import time
import warnings
from typing import Any

import pytest
import torch

from wskan.errors import DataError, DivergedError, ShapeError
from wskan.kan import Engine, FitConfig, KANSpec, Population, fit, fit_population, kernel
from wskan.kan.fit_config import FitProblem

SPEC = KANSpec(widths=(2, 8, 1), grid=5)
needs_kernel = pytest.mark.skipif(kernel.unavailable(SPEC) is not None, reason=str(kernel.unavailable(SPEC)))
ENGINES = [pytest.param("kernel", marks=needs_kernel), "torch"]


def waves(size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    axis = torch.linspace(-1, 1, 16)
    x = torch.cartesian_prod(axis, axis)
    frequency = torch.rand(size, 2, generator=torch.Generator().manual_seed(0)) * 3
    return x, torch.sin(frequency @ x.T).unsqueeze(-1), torch.arange(size)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("adapt", [True, False])
def test_learns(engine: Engine, adapt: bool) -> None:
    x, y, seeds = waves(4)
    result = fit_population(SPEC, x, y, seeds, FitConfig(steps=150, batch_size=64, adapt_grid=adapt), engine=engine)
    assert (result.loss < 0.01 * y.var()).all()
    torch.testing.assert_close(
        (result.population(x) - y).square().mean((1, 2)).double(), result.loss, rtol=1e-3, atol=1e-7
    )
    assert result.population.uniform_grid is not adapt
    assert result.attempts.tolist() == [0] * 4


@needs_kernel
def test_an_interrupt_ends_the_kernel_before_its_memory_is_freed() -> None:
    """In a process of its own, which it used to take down; a second interrupt changes nothing."""
    script = """
import os, signal, threading, time, torch
from wskan.kan import FitConfig, KANSpec, fit_population
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background does not have
spec, x = KANSpec(widths=(2, 32, 32, 1), grid=10), torch.rand(4096, 2)
y = torch.rand(40, 4096, 1)
fit = lambda size, steps: fit_population(spec, x, y[:size], torch.arange(size), FitConfig(steps=steps, batch_size=1024))
fit(1, 1)
main = threading.main_thread().ident
def interrupt():
    while not any(thread.name == "wskan_fit" for thread in threading.enumerate()):
        time.sleep(0.01)
    for delay in (0.3, 0.1):
        time.sleep(delay)
        signal.pthread_kill(main, signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    fit(40, 2000)  # a KAN takes longer than the second interrupt
    print("too fast")
except KeyboardInterrupt:
    time.sleep(1)
    print("interrupted", fit(1, 1).loss.isfinite().all())
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert (run.returncode, run.stdout) == (0, "interrupted tensor(True)\n"), run.stderr


@pytest.mark.parametrize("widths", [(2, 8, 1), (1, 20, 3), (3, 33, 7, 5)])
@pytest.mark.parametrize("degree", [1, 2, 3, 4])
@pytest.mark.parametrize("base", ["silu", "identity", "zero"])
@needs_kernel
def test_kernel_equals_torch(widths: tuple[int, ...], degree: int, base: str) -> None:
    spec = KANSpec(widths=widths, grid=4, degree=degree, base=base)
    generator = torch.Generator().manual_seed(degree)
    x = torch.rand(3, 90, widths[0], generator=generator) * 3 - 1.5  # some of it outside the first grid
    y = torch.randn(3, 90, widths[-1], generator=generator)
    for config in (
        FitConfig(steps=6, batch_size=50, adapt_grid=False),
        FitConfig(steps=4, batch_size=50, grid_update_until=4, grid_updates=2),
    ):
        fast, slow = (fit_population(spec, x, y, torch.arange(3), config, engine=e) for e in ("kernel", "torch"))
        # Adam's first steps turn a gradient of rounding size into a full step: a few weights differ, functions hardly.
        assert (fast.population(x) - slow.population(x)).abs().mean() < 5e-3
        torch.testing.assert_close(fast.loss, slow.loss, rtol=1e-2, atol=1e-5)


@pytest.mark.parametrize("widths", [(30, 20, 3), (9, 33, 3), (6, 3)])
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@needs_kernel
def test_kernel_equals_torch_on_images_that_are_mostly_zero(widths: tuple[int, ...], loss: str) -> None:
    spec, generator = KANSpec(widths=widths, grid=4), torch.Generator().manual_seed(0)
    share = torch.linspace(0, 1, widths[0])  # the first input is always zero
    x = torch.rand(90, widths[0], generator=generator) * (torch.rand(90, widths[0], generator=generator) < share)
    y = torch.randn(3, 90, widths[-1], generator=generator)
    targets = y if loss == "mse" else y.argmax(-1)
    for config in (
        FitConfig(steps=6, batch_size=50, adapt_grid=False, loss=loss),
        FitConfig(steps=6, batch_size=50, grid_update_until=4, grid_updates=2, loss=loss),
        FitConfig(steps=6, batch_size=50, grid_update_until=4, grid_updates=2, loss=loss, rcond=1e-2),
    ):
        fast, slow = (fit_population(spec, x, targets, torch.arange(3), config, engine=e) for e in ("kernel", "torch"))
        assert (fast.population(x) - slow.population(x)).abs().mean() < 5e-3
        torch.testing.assert_close(fast.loss, slow.loss, rtol=1e-2, atol=1e-5)
        for mine, other in zip(fast.population.layers, slow.population.layers, strict=True):
            assert ((mine.coef - other.coef).abs() < 2e-3).float().mean() > 0.9


@pytest.mark.parametrize("domain", [(-1.0, 1.0), (0.2, 1.0), (0.9, 1.0)])
@needs_kernel
def test_inputs_that_wake_up_now_and_then(domain: tuple[float, float]) -> None:
    """Adam's moments go on moving weights when an input is zero again, where its functions may be zero, too."""
    spec, generator = KANSpec(widths=(6, 8, 3), grid=3, domain=domain), torch.Generator().manual_seed(0)
    share = torch.tensor([0, 0.002, 0.01, 0.05, 0.5, 1])
    x = torch.rand(400, 6, generator=generator) * (torch.rand(400, 6, generator=generator) < share)
    y = torch.randn(2, 400, 3, generator=generator)
    config = FitConfig(steps=60, batch_size=20, adapt_grid=False, schedule="constant", lr=1e-3)
    fast, slow = (fit_population(spec, x, y, torch.arange(2), config, engine=e).population for e in ("kernel", "torch"))
    for mine, other in zip(fast.layers, slow.layers, strict=True):
        for name in ("base_weight", "spline_weight", "coef"):
            torch.testing.assert_close(getattr(mine, name), getattr(other, name), rtol=0, atol=1e-3)


@pytest.mark.parametrize("rcond", [None, 1e-2])
@needs_kernel
def test_zeros_weigh_as_many_as_they_are_in_a_refit(rcond: float | None) -> None:
    spec, generator = KANSpec(widths=(9, 8, 3), grid=4), torch.Generator().manual_seed(0)
    x = torch.rand(90, 9, generator=generator) * (torch.rand(90, 9, generator=generator) < torch.linspace(0, 1, 9))
    y = torch.randn(3, 90, 3, generator=generator)
    config = FitConfig(steps=1, batch_size=90, grid_updates=1, grid_update_until=1, lr=1e-9, rcond=rcond)
    fast, slow = (fit_population(spec, x, y, torch.arange(3), config, engine=e).population for e in ("kernel", "torch"))
    for mine, other in zip(fast.layers, slow.layers, strict=True):
        torch.testing.assert_close(mine.coef, other.coef, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("batch", [64, 9_000])
def test_final_loss_of_many_points_is_that_of_an_even_sample(engine: Engine, batch: int) -> None:
    x = torch.rand(9_000, 2, generator=torch.Generator().manual_seed(0))
    y = x.sum(1, keepdim=True).expand(1, -1, -1)
    config = FitConfig(steps=3, batch_size=batch, adapt_grid=False)
    result = fit_population(SPEC, x, y, torch.arange(1), config, engine=engine)
    points = x[::2] if batch == 64 else x
    expected = (result.population(points)[0] - points.sum(1, keepdim=True)).square().mean()
    torch.testing.assert_close(result.loss[0].float(), expected, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("engine", ENGINES)
def test_cross_entropy_learns(engine: Engine) -> None:
    x = torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    labels = ((x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()).expand(2, -1).contiguous()
    config = FitConfig(steps=100, batch_size=50, loss="cross_entropy")
    result = fit_population(KANSpec(widths=(2, 4)), x, labels, torch.arange(2), config, engine=engine)
    assert ((result.population(x).argmax(-1) == labels).float().mean(1) > 0.95).all()
    logits = result.population(x).transpose(1, 2)
    expected = torch.nn.functional.cross_entropy(logits, labels, reduction="none").mean(1)
    torch.testing.assert_close(result.loss.float(), expected, rtol=1e-3, atol=1e-5)


@needs_kernel
def test_kernel_result_is_the_same_to_the_bit_beside_others() -> None:
    x, y, seeds = waves(5)
    config = FitConfig(steps=60, batch_size=64)
    together = fit_population(SPEC, x, y, seeds, config, engine="kernel").population.tensors()
    alone = fit_population(SPEC, x, y[3:4], seeds[3:4], config, engine="kernel").population.tensors()
    assert all(torch.equal(together[name][3:4], alone[name]) for name in together)


def test_torch_result_is_the_same_beside_others() -> None:
    x, y, seeds = waves(5)
    config = FitConfig(steps=60, batch_size=64)
    together = fit_population(SPEC, x, y, seeds, config, engine="torch").population(x)
    for rows in (slice(3, 4), slice(2, 5)):
        alone = fit_population(SPEC, x, y[rows], seeds[rows], config, engine="torch").population(x)
        torch.testing.assert_close(together[rows], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_masked_edges_stay_absent(engine: Engine) -> None:
    x, y, seeds = waves(2)
    population = Population.init(SPEC, seeds)
    population.layers[0].mask[:, 0, :4] = 0
    run = fit._engine(engine, SPEC, torch.device("cpu"))
    config = FitConfig(steps=20, batch_size=64)
    fitted, _ = run(FitProblem(population=population, inputs=x[None], targets=y, seeds=seeds, config=config))
    assert torch.equal(fitted.layers[0].mask, population.layers[0].mask)
    assert torch.equal(fitted.layers[0].base_weight[:, 0, :4], population.layers[0].base_weight[:, 0, :4])
    assert not torch.equal(fitted.layers[0].base_weight[:, 0, 4:], population.layers[0].base_weight[:, 0, 4:])


@pytest.mark.parametrize("engine", ENGINES)
def test_diverged_kans_get_a_new_seed_and_others_keep_their_result(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y, seeds = waves(4)
    config = FitConfig(steps=20, batch_size=64)
    normal = fit_population(SPEC, x, y, seeds, config, engine=engine)
    init = Population.init

    def poisoned(spec: KANSpec, seeds: torch.Tensor, **options: Any) -> Population:
        population = init(spec, seeds, **options)
        population.layers[0].coef[seeds == 2] = float("inf")
        return population

    monkeypatch.setattr(Population, "init", poisoned)
    result = fit_population(SPEC, x, y, seeds, config, engine=engine)
    assert result.attempts.tolist() == [0, 0, 1, 0]
    assert result.seeds[2] != 2
    assert result.population.is_finite().all()
    kept = torch.tensor([0, 1, 3])
    torch.testing.assert_close(result.population(x)[kept], normal.population(x)[kept], rtol=0, atol=1e-5)
    with pytest.raises(DivergedError, match=r"\[2\]"):
        fit_population(SPEC, x, y, seeds, config, engine=engine, max_retries=0)


def test_schedules() -> None:
    decay = FitConfig(steps=10, lr=1.0).rates()
    assert decay[:6] == [1.0] * 6
    assert decay[-1] == pytest.approx(0.01)
    assert FitConfig(steps=10, lr=1.0, schedule="constant").rates() == [1.0] * 10
    assert sorted(FitConfig().update_steps()) == list(range(0, 50, 5))
    assert not FitConfig(adapt_grid=False).update_steps()


def test_json_round_trip_and_bad_values() -> None:
    for config in (FitConfig(steps=7, schedule="constant"), FitConfig(rcond=1e-4)):
        assert FitConfig.from_dict(config.to_dict()) == config
    assert "rcond" not in FitConfig().to_dict()
    for bad in (
        {"steps": -1},
        {"steps": 1.5},
        {"lr": float("nan")},
        {"schedule": "x"},
        {"loss": "x"},
        {"grid_eps": 2},
        {"rcond": 0.0},
        {"nope": 1},
    ):
        with pytest.raises(DataError):
            FitConfig.from_dict(bad)


def test_bad_arguments_are_named() -> None:
    x, y, seeds = waves(2)
    with pytest.raises(ShapeError, match="targets"):
        fit_population(SPEC, x, y[:, :5], seeds)
    with pytest.raises(ShapeError, match="seeds"):
        fit_population(SPEC, x, y, seeds.float())
    with pytest.raises(ShapeError, match="inputs"):
        fit_population(SPEC, x[:, :1], y, seeds)
    with pytest.raises(DataError, match="finite"):
        fit_population(SPEC, x, y * float("nan"), seeds)
    with pytest.raises(DataError, match="engine"):
        fit_population(SPEC, x, y, seeds, engine="cuda")  # type: ignore[arg-type]


def test_without_a_compiler_the_torch_path_runs_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, seeds = waves(2)
    monkeypatch.setattr(kernel, "_library", lambda: "no working C++ compiler (for this test)")
    config = FitConfig(steps=2)
    with pytest.warns(UserWarning, match=r"no working C\+\+ compiler"):
        fit_population(SPEC, x, y, seeds, config)
    with pytest.raises(DataError, match=r"no working C\+\+ compiler"):
        fit_population(SPEC, x, y, seeds, config, engine="kernel")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_population(SPEC, x, y, seeds, config, engine="torch")


def test_an_interrupt_while_the_thread_starts_leaves_no_kernel_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would write into tensors that are gone."""
    calls: list[str] = []
    start = threading.Thread.start

    class Library:
        def wskan_fit(self, *_: object) -> int:
            calls.append("fit")
            return 0

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(kernel, "_library", Library)
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    spec = KANSpec(widths=(2, 1))
    with pytest.raises(KeyboardInterrupt):
        fit_population(spec, torch.zeros(4, 2), torch.zeros(1, 4, 1), torch.zeros(1).long(), engine="kernel")
    time.sleep(0.2)
    assert calls == []
