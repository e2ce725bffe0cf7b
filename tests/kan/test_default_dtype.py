"""KANs stay in single precision, with the same bits, whatever the default is (pykan's tutorials set float64)."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from other_bases import SHAPES, spec_of
from torch import Tensor

from wskan.kan import Engine, FitConfig, Population, accuracy, activations, fit_population, oracle_masks, outputs
from wskan.signals import coordinates, sine_waves

X = torch.rand(64, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
Y = torch.rand(3, 64, 2, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(64) % 2


@pytest.fixture(params=[torch.float64, torch.bfloat16])
def other_default(request: pytest.FixtureRequest) -> Iterator[torch.dtype]:
    yield request.param
    torch.set_default_dtype(torch.float32)


def everything(basis: str, engine: Engine) -> list[Tensor]:
    spec = spec_of(basis)
    population = Population.init(spec, [1, 2, 3])
    config = FitConfig(steps=4, batch_size=16, lr=0.01, adapt_grid=basis == "bspline")
    result = fit_population(spec, X, Y, torch.arange(3), config, engine=engine)
    fitted = result.population
    varied: list[Any] = [vars(layer) for layer in activations(fitted, X)]
    return [
        *population.tensors().values(),
        *fitted.tensors().values(),
        *(value for each in varied for value in each.values()),
        *oracle_masks(fitted, X),
        outputs(fitted, X),
        fitted(X),
        accuracy(fitted, X, LABELS),
    ]


@pytest.mark.parametrize("engine", ["auto", "torch"])
@pytest.mark.parametrize("basis", SHAPES)
def test_kans_have_the_same_bits(basis: str, engine: Engine, other_default: torch.dtype) -> None:
    before = everything(basis, engine)
    torch.set_default_dtype(other_default)
    for ours, same in zip(everything(basis, engine), before, strict=True):
        assert ours.dtype == same.dtype
        assert torch.equal(ours, same)


def test_signals_have_the_same_bits(other_default: torch.dtype) -> None:
    before = coordinates(5, 4), sine_waves(3, 0).targets(torch.arange(3))
    torch.set_default_dtype(other_default)
    for ours, same in zip((coordinates(5, 4), sine_waves(3, 0).targets(torch.arange(3))), before, strict=True):
        assert torch.equal(ours, same)
