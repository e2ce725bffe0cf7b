"""Against pykan 0.2.8 itself."""

import warnings

import pytest
import torch

from wskan.errors import DataError
from wskan.kan import KANSpec, Population, adapt_grid, from_pykan

pytestmark = pytest.mark.filterwarnings("ignore")  # pykan's own

kan = pytest.importorskip("kan")


def pykan_model(widths: list[int], grid: int, degree: int, seed: int = 0):  # type: ignore[no-untyped-def]
    return kan.KAN(width=list(widths), grid=grid, k=degree, seed=seed, auto_save=False, symbolic_enabled=False)


@pytest.fixture
def data() -> dict[str, torch.Tensor]:
    x = torch.rand(400, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    y = torch.sin(3 * x[:, :1]) * x[:, 1:]
    return {"train_input": x, "train_label": y, "test_input": x, "test_label": y}


@pytest.mark.parametrize(("widths", "grid", "degree"), [([2, 5, 1], 5, 3), ([2, 8, 8, 1], 10, 3), ([2, 4, 1], 3, 2)])
def test_forward_equals_pykan_trained_with_adapted_grids(widths, grid, degree, data) -> None:  # type: ignore[no-untyped-def]
    model = pykan_model(widths, grid, degree)
    model.fit(data, opt="Adam", steps=60, lr=0.01, batch=128)
    population = from_pykan(model)
    assert not population.uniform_grid
    outside = torch.randn(500, 2) * 2  # beyond the grid, too
    for x in (data["train_input"], outside):
        torch.testing.assert_close(population(x)[0], model(x).detach(), rtol=0, atol=1e-5)


def test_what_is_no_pykan_model_is_refused() -> None:
    with pytest.raises(DataError, match=r"expected a model of pykan.*Linear, which has no width"):
        from_pykan(torch.nn.Linear(2, 2))


def test_masked_edges(data) -> None:  # type: ignore[no-untyped-def]
    model = pykan_model([2, 5, 1], 5, 3)
    model.act_fun[0].mask.data[0, 2] = 0
    population = from_pykan(model)
    assert population.layers[0].mask[0, 0, 2] == 0
    torch.testing.assert_close(
        population(data["train_input"])[0], model(data["train_input"]).detach(), rtol=0, atol=1e-5
    )


def test_inputs_that_were_pruned(data) -> None:  # type: ignore[no-untyped-def]
    """``prune_input`` gives a model of other inputs, with the module of its activation instead of the name."""
    x = data["train_input"]
    for active in ([0, 1], [1, 0], [1]):
        model = pykan_model([2, 5, 1], 5, 3).prune_input(active_inputs=active)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            population = from_pykan(model)
        assert [("model.input_id" in str(one.message)) for one in told] == ([] if active == [0, 1] else [True])
        torch.testing.assert_close(population(x[:, model.input_id])[0], model(x).detach(), rtol=0, atol=1e-5)


def test_masks_go_back_into_pykans_model(data) -> None:  # type: ignore[no-untyped-def]
    """As the documentation of ``from_pykan`` says."""
    model, x = pykan_model([2, 5, 1], 5, 3), data["train_input"]
    pruned = from_pykan(model)
    pruned = pruned.prune(
        [torch.rand(layer.mask.shape, generator=torch.Generator().manual_seed(0)) < 0.5 for layer in pruned.layers]
    )
    before = model(x).detach()
    for act, layer in zip(model.act_fun, pruned.layers, strict=True):
        act.mask.data.copy_(layer.mask[0])
    torch.testing.assert_close(model(x).detach(), pruned(x)[0], rtol=0, atol=1e-5)
    assert not torch.allclose(model(x), before, atol=1e-3)


def test_initialisation_draws_pykans_numbers() -> None:
    ours = Population.init(KANSpec(widths=(2, 6, 3), grid=7), [11])
    theirs = from_pykan(pykan_model([2, 6, 3], 7, 3, seed=11))
    for mine, other in zip(ours.layers, theirs.layers, strict=True):
        torch.testing.assert_close(mine.base_weight, other.base_weight)
        torch.testing.assert_close(mine.spline_weight, other.spline_weight)
        torch.testing.assert_close(mine.coef, other.coef, rtol=1e-3, atol=1e-4)


def test_grid_update_equals_pykans(data) -> None:  # type: ignore[no-untyped-def]
    model = pykan_model([2, 6, 1], 5, 3, seed=3)
    before = from_pykan(model)
    batch = data["train_input"][:128]
    model.update_grid(batch)
    ours, theirs = adapt_grid(before, batch[None]), from_pykan(model)
    for mine, other in zip(ours.layers, theirs.layers, strict=True):
        torch.testing.assert_close(mine.knots, other.knots, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(ours(batch)[0], theirs(batch)[0], rtol=0, atol=2e-3)


def test_what_is_no_b_spline_kan_is_refused() -> None:
    model = kan.KAN(width=[2, [2, 1], 1], grid=3, k=3, seed=0, auto_save=False)
    with pytest.raises(DataError, match="multiplication"):
        from_pykan(model)
    model = kan.KAN(width=[2, 2, 1], grid=3, k=3, seed=0, auto_save=False)
    model.symbolic_fun[0].mask.data[0, 0] = 1
    with pytest.raises(DataError, match="symbolic"):
        from_pykan(model)
    model = pykan_model([2, 2, 1], 3, 3)
    model.node_bias[0].data += 1
    with pytest.raises(DataError, match="affine"):
        from_pykan(model)
