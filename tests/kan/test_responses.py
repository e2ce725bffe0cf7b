import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wskan.errors import DataError, ShapeError
from wskan.kan import BASES, KANSpec, kernel, outputs, responses
from wskan.kan.evaluate import edge_values
from wskan.testing import random_population

DEGREES = {"bspline": (3, 2, 1), "rbf": (0,), "chebyshev": (3,), "fourier": (0,), "wavelet": (1,)}


@pytest.fixture(params=["kernel", "torch"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    reason = kernel.unavailable(KANSpec(widths=(2, 1)))
    if request.param == "torch":
        monkeypatch.setattr(kernel, "unavailable", lambda spec: "not in this test")
    elif reason is not None:
        pytest.skip(reason)
    return str(request.param)


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(("basis", "degree"), [(basis, degree) for basis in BASES for degree in DEGREES[basis]])
@pytest.mark.parametrize("zeros", [0.0, 0.7])
def test_edges_add_up_to_neurons_and_the_last_neurons_are_the_outputs(basis: str, degree: int, zeros: float) -> None:
    grid = 1 if basis == "chebyshev" else 4
    for widths, points, edge_points in (((2, 5, 1), 300, 300), ((7, 20, 3), 40, 40), ((3, 33, 7, 5), 270, 260)):
        kans = random_population(widths, 3, points, grid=grid, degree=degree, basis=basis)
        x = torch.rand(3, points, widths[0], generator=torch.Generator().manual_seed(1)) * 3 - 1.5
        x = x * (torch.rand(x.shape, generator=torch.Generator().manual_seed(2)) >= zeros)
        for inputs in (x, x[0]):
            found = responses(kans, inputs, edge_points)
            torch.testing.assert_close(found.nodes[-1].mT, outputs(kans, inputs), rtol=1e-5, atol=1e-5)
            for nodes, edges, layer in zip(found.nodes, found.edges, kans.layers, strict=True):
                assert edges.shape == (*layer.mask.shape, edge_points)
                assert not edges[layer.mask == 0].any()
                torch.testing.assert_close(edges.sum(1), nodes[..., :edge_points], rtol=1e-4, atol=1e-3)


@given(seed=st.integers(0, 10**6), basis=st.sampled_from(list(BASES)))
@settings(deadline=None, max_examples=20)
def test_fast_equals_plain(seed: int, basis: str) -> None:
    kans = random_population(
        (3, 6, 4), 2, seed, grid=1 if basis == "chebyshev" else 5, degree=DEGREES[basis][0], basis=basis
    )
    x = torch.rand(2, 20, 3, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    fast, plain = responses(kans, x, 9), responses(kans, x.clone().requires_grad_(), 9)
    for a, b in zip((*fast.nodes, *fast.edges), (*plain.nodes, *plain.edges), strict=True):
        torch.testing.assert_close(a, b.detach(), rtol=1e-4, atol=1e-4)


def test_gradients_pass_to_the_inputs() -> None:
    kans = random_population((2, 4, 3), 3, 0).to(torch.float64)
    x = (torch.rand(5, 2, generator=torch.Generator().manual_seed(0)) - 0.5).requires_grad_()
    found = responses(kans, x, 2)
    gradient = torch.autograd.grad(found.nodes[-1].sum() + found.edges[0].sum(), x)[0]
    step = 1e-2 * torch.tensor([[1.0, 0.0]])
    with torch.no_grad():
        ends = [responses(kans, x + sign * step, 2) for sign in (1, -1)]
        slope = [end.nodes[-1].sum((0, 1)) for end in ends]
    assert gradient[2:, 0].sub((slope[0] - slope[1])[2:] / 2e-2).abs().max() < 0.02 * gradient.abs().max()


def test_what_cannot_be_asked_is_named() -> None:
    kans = random_population((2, 4, 3), 3, 0)
    with pytest.raises(ShapeError, match="edge_points must be from 0 to the number of inputs, 5, got 6"):
        responses(kans, torch.zeros(5, 2), 6)
    with pytest.raises(ShapeError, match="x has shape"):
        responses(kans, torch.zeros(5, 3))
    with pytest.raises(DataError, match="finite"):
        responses(kans, torch.full((5, 2), float("inf")))
    layer = dataclasses.replace(kans.layers[0], coef=kans.layers[0].coef * float("nan"))
    with pytest.raises(DataError, match="not finite"):
        responses(type(kans)(kans.spec, [layer, kans.layers[1]]), torch.zeros(5, 2))


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("basis", list(BASES))
@pytest.mark.parametrize("base", ["silu", "identity", "zero"])
@pytest.mark.parametrize("shared", [True, False])
def test_the_gradient_is_what_autograd_makes_of_the_definition(basis: str, base: str, shared: bool) -> None:
    kans = random_population(
        (3, 6, 5, 2), 4, 0, grid=1 if basis == "chebyshev" else 4, degree=DEGREES[basis][0], basis=basis, base=base
    )
    x = torch.rand(*((7,) if shared else (4, 7)), 3, generator=torch.Generator().manual_seed(1)) * 2 - 1
    fast, plain = x.clone().requires_grad_(), x.double().clone().requires_grad_()
    found = responses(kans, fast, 4)
    wide, values = kans.to(torch.float64), plain.expand(4, -1, -1)
    nodes, edges = [], []
    for layer in wide.layers:
        edges.append(edge_values(layer, values[:, :4], kans.spec).movedim(1, -1))
        nodes.append((values := layer(values, kans.spec)).mT)
    mine, exact = (*found.nodes, *found.edges), (*nodes, *edges)
    weights = [torch.randn(t.shape, generator=torch.Generator().manual_seed(i)) for i, t in enumerate(mine)]
    for places in ([2], [0, 5], range(6)):  # of the outputs, of neurons and edges inside, of all
        gradients = []
        for tensors, inputs in ((mine, fast), (exact, plain)):
            total = torch.stack([(tensors[place] * weights[place]).sum() for place in places]).sum()
            gradients.append(torch.autograd.grad(total, inputs, retain_graph=True)[0].double())
        torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-4 * float(gradients[1].abs().max()))
