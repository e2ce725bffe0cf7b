"""Scores and masks of the oracle, against pykan's own."""

import pytest
import torch

from wskan.errors import DataError, ShapeError
from wskan.kan import KANSpec, Permutation, Population, edge_scores, from_pykan, kernel, oracle_masks

pytestmark = pytest.mark.filterwarnings("ignore")  # pykan's own

ENGINES = ["kernel", "torch"]


def images(count: int, width: int) -> torch.Tensor:
    """Mostly zero, some inputs always."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(count, width, generator=generator)
    return x * (torch.rand(count, width, generator=generator) < torch.linspace(0, 1, width))


@pytest.mark.parametrize("engine", ENGINES)
def test_equal_pykans_attribution_and_prune_edge(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kan = pytest.importorskip("kan")
    if engine == "torch":
        monkeypatch.setattr(kernel, "unavailable", lambda spec: "not in this test")
    x = images(400, 40)
    labels = (x[:, 20:30].sum(1) > x[:, 30:].sum(1)).long() + 2 * (x[:, 39] > 0.5).long()
    data = {"train_input": x, "train_label": labels, "test_input": x, "test_label": labels}
    model = kan.KAN(width=[40, 24, 9, 4], grid=5, k=3, seed=0, auto_save=False, symbolic_enabled=False)
    model.act_fun[0].mask.data[35, :4] = 0  # pruned before
    model.fit(data, opt="Adam", steps=60, lr=0.01, batch=100, loss_fn=torch.nn.CrossEntropyLoss())
    model(x)
    model.attribute()
    population = from_pykan(model)
    scores = edge_scores(population, x)
    for mine, theirs in zip(scores, model.edge_scores, strict=True):
        torch.testing.assert_close(mine[0], theirs.detach().T, rtol=1e-5, atol=1e-8)
    means = [acts.abs().mean(0).T for acts in model.spline_postacts]  # pykan's first releases: acts_scale
    for mine, theirs in zip(edge_scores(population, x, "activation"), means, strict=True):
        torch.testing.assert_close(mine[0], theirs.detach(), rtol=1e-5, atol=1e-7)
    masks = oracle_masks(population, x)
    model.prune_edge(0.01, log_history=False)
    for mine, layer in zip(masks, model.act_fun, strict=True):
        assert torch.equal(mine[0], layer.mask != 0)
    assert 0 < sum(int(mask.sum()) for mask in masks) < population.spec.num_edges / 2
    torch.testing.assert_close(population.prune(masks)(x)[0], model(x).detach(), rtol=1e-5, atol=1e-5)


def test_scores_follow_permutations_and_neighbours_do_not_matter() -> None:
    population = Population.init(KANSpec(widths=(40, 20, 6, 3), grid=4), torch.arange(3), noise_scale=2.0)
    x = images(100, 40)
    scores = edge_scores(population, x)
    for alone, together in zip(edge_scores(population[1], x), scores, strict=True):
        torch.testing.assert_close(alone[0], together[1])
    orders = [torch.randperm(20), torch.randperm(6)]
    permuted = edge_scores(population.permute(Permutation(orders)), x)
    torch.testing.assert_close(permuted[0], scores[0][:, :, orders[0]], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(permuted[1], scores[1][:, orders[0]][:, :, orders[1]], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(permuted[2], scores[2][:, orders[1]], rtol=1e-4, atol=1e-6)


def test_pruning_everything_yields_zeros_and_pruned_edges_stay_so() -> None:
    population = Population.init(KANSpec(widths=(4, 20, 3)), torch.arange(2))
    x = images(50, 4)
    none = population.prune(oracle_masks(population, x, threshold=1e9))
    assert torch.equal(none(x), torch.zeros(2, 50, 3))
    assert all(not bool(mask.any()) for mask in oracle_masks(none, x, threshold=-1.0))
    with pytest.raises(DataError, match="is NaN"):
        oracle_masks(population, x, threshold=float("nan"))
    with pytest.raises(DataError, match="attribution"):
        edge_scores(population, x, "gradient")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="masks"):
        population.prune([torch.ones(2, 4, 20)])
