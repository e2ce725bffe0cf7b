import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import silu

from wskan.errors import DataError, ShapeError
from wskan.kan import (
    KANSpec,
    Population,
    accuracy,
    activations,
    adapt_grid,
    bspline_basis,
    kernel,
    oracle_masks,
    outputs,
)

WIDTHS = st.sampled_from([(2, 5, 1), (7, 20, 3), (3, 33, 7, 5)])


def kans(widths: tuple[int, ...], degree: int, seed: int, size: int = 3) -> Population:
    """Untrained KANs with grids of their own and a few pruned edges."""
    spec = KANSpec(widths=widths, grid=4, degree=degree)
    population = Population.init(spec, torch.arange(size) + seed, noise_scale=2.0)
    population = adapt_grid(population, inputs(64, widths[0], seed).expand(size, -1, -1))
    generator = torch.Generator().manual_seed(seed)
    return population.prune([torch.rand(layer.mask.shape, generator=generator) > 0.2 for layer in population.layers])


def inputs(count: int, width: int, seed: int, zeros: float = 0.0) -> torch.Tensor:
    """Some of it outside of the grids; a share of exact zeros, as in images."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(count, width, generator=generator) * 3 - 1.5
    return x * (torch.rand(x.shape, generator=generator) >= zeros)


@pytest.fixture(params=["kernel", "torch"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    reason = kernel.unavailable(KANSpec(widths=(2, 1)))
    if request.param == "torch":
        monkeypatch.setattr(kernel, "unavailable", lambda spec: "not in this test")
    elif reason is not None:
        pytest.skip(reason)
    return str(request.param)


@pytest.mark.parametrize("zeros", [0.0, 0.1, 0.7, 1.0])
@pytest.mark.parametrize("count", [2, 100, 300])
@pytest.mark.usefixtures("engine")
def test_outputs_are_those_of_the_population(zeros: float, count: int) -> None:
    for widths, degree in (((7, 20, 3), 3), ((3, 33, 7, 5), 2), ((2, 5, 1), 4)):
        population, x = kans(widths, degree, count), inputs(count, widths[0], count, zeros)
        torch.testing.assert_close(outputs(population, x), population(x), rtol=1e-4, atol=1e-5)
        own = torch.stack([x, x.flip(0), x * 0.5])
        torch.testing.assert_close(outputs(population, own), population(own), rtol=1e-4, atol=1e-5)


@given(widths=WIDTHS, degree=st.integers(1, 4), seed=st.integers(0, 1000), zeros=st.sampled_from([0.0, 0.5, 0.95]))
@settings(deadline=None, max_examples=15)
def test_activations_are_deviations_and_means_of_single_edges(
    widths: tuple[int, ...], degree: int, seed: int, zeros: float
) -> None:
    population, x = kans(widths, degree, seed), inputs(300, widths[0], seed, zeros)
    values = x.double().expand(3, -1, -1)
    double = population.to(torch.float64)
    for layer, found in zip(double.layers, activations(population, x), strict=True):
        for p in range(values.shape[2]):
            alone = torch.zeros_like(layer.mask)
            alone[:, p] = layer.mask[:, p]
            one = type(layer)(**{**vars(layer), "mask": alone})(values, population.spec)
            torch.testing.assert_close(found.edge_std[:, p].double(), one.std(1), rtol=2e-4, atol=1e-5)
            torch.testing.assert_close(found.edge_mean[:, p].double(), one.abs().mean(1), rtol=2e-4, atol=1e-5)
        values = layer(values, population.spec)
        torch.testing.assert_close(found.node_std.double(), values.std(1), rtol=2e-4, atol=1e-5)


@pytest.mark.usefixtures("engine")
def test_an_edge_that_hardly_varies_is_not_lost_in_its_mean() -> None:
    spec = KANSpec(widths=(2, 20, 2), grid=4)
    population = Population.init(spec, torch.arange(2))
    population.layers[0].coef[:, 0] = 1000.0  # B-splines sum to one: a constant
    population.layers[0].coef[:, 0, :, 2] += 1e-2
    x = inputs(500, 2, 0).clamp(-0.9, 0.9)
    layer = population.to(torch.float64).layers[0]
    basis = bspline_basis(x[:, :1].T.double(), layer.knots[0], 3)[0]  # [B, G+k]
    exact = (
        basis @ (layer.coef[:, 0] * layer.spline_weight[:, 0, :, None]).mT + silu(x[:, :1]) * layer.base_weight[:, :1]
    ).std(1)
    found = activations(population, x)[0].edge_std[:, 0]
    torch.testing.assert_close(found.double(), exact, rtol=0.05, atol=1e-6)


@pytest.mark.usefixtures("engine")
def test_accuracy_counts_the_largest_output() -> None:
    population, x = kans((7, 20, 3), 3, 0), inputs(50, 7, 1)
    best = population(x).argmax(-1)
    labels = best[1]
    expected = (best == labels).float().mean(1)
    torch.testing.assert_close(accuracy(population, x, labels), expected)
    assert accuracy(population, x, labels)[1] == 1


def test_bad_inputs_are_named() -> None:
    population, x = kans((7, 20, 3), 3, 0), inputs(50, 7, 1)
    with pytest.raises(ShapeError, match=r"\[N, 7\]"):
        outputs(population, x[:, :3])
    with pytest.raises(ShapeError, match="labels"):
        accuracy(population, x, torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ShapeError, match="at least two"):
        activations(population, x[:1])
    with pytest.raises(ShapeError, match="labels"):
        accuracy(population, x.unsqueeze(0), torch.zeros(1, dtype=torch.int64))
    with pytest.raises(DataError, match="from 0 to 2, got 0 to 3"):
        accuracy(population, x, torch.arange(50) % 4)
    with pytest.raises(DataError, match="finite"):
        outputs(population, x / 0)


@pytest.mark.usefixtures("engine")
def test_kans_that_are_not_finite_are_named() -> None:
    population, x = kans((7, 20, 3), 3, 0), inputs(50, 7, 1)
    population.layers[1].coef[2, 3, 1, 0] = float("nan")
    for measure in (outputs, activations, oracle_masks, lambda k, x: accuracy(k, x, torch.zeros(50).long())):
        with pytest.raises(DataError, match=r"1 of 3 KANs have parameters that are not finite: \[2\]"):
            measure(population, x)
