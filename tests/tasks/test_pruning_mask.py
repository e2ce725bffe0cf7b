import dataclasses
import itertools

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given

from wskan.errors import DataError
from wskan.graph import FeatureConfig, kan_graph
from wskan.kan import Permutation, Population
from wskan.kan.edges import flatten_edges
from wskan.models import MODELS, MetaNetwork, OutputsConfig, build_model
from wskan.tasks import GraphDataset, PruningMask, augment_edges, get_task, graph_loader, predict
from wskan.tasks.data import BatchIndices
from wskan.tasks.output import flatten_output
from wskan.tasks.task import ABSENT
from wskan.testing import FakeZoo, random_population
from wskan.zoo import Zoo

WIDTHS = (2, 5, 4, 3)


@pytest.fixture(scope="module")
def zoo() -> FakeZoo:
    return pruned()


def pruned() -> FakeZoo:
    """A fake zoo of classifiers that lack some edges."""
    zoo = FakeZoo(WIDTHS, classifiers=True)
    masks = random_population(WIDTHS, len(zoo), 7, keep=0.8).layers
    layers = [dataclasses.replace(layer, mask=m.mask) for layer, m in zip(zoo._kans.layers, masks, strict=True)]
    zoo._kans = Population(zoo.spec, layers)
    return zoo


def model(zoo: Zoo, name: str) -> MetaNetwork:
    torch.manual_seed(0)
    dim = FeatureConfig().edge_dim(zoo.spec)
    config = {"widths": zoo.spec.widths, "edge_dim": dim, "out_dim": 1, "readout": "edge", "hidden": 8, "num_layers": 2}
    return build_model({"model": name, **config}).eval()


def dataset(zoo: Zoo, **options: object) -> GraphDataset:
    return GraphDataset(zoo, "train", PruningMask(), FeatureConfig(), **options)  # type: ignore[arg-type]


def test_targets_are_the_masks_and_absent_edges_are_marked(zoo: FakeZoo) -> None:
    graph, target = dataset(zoo)[[3, 0, 8]]
    rows = zoo.split("train")[[3, 0, 8]]
    assert target.dtype == torch.int8
    edge = 0
    for index, (n, m) in enumerate(itertools.pairwise(WIDTHS)):
        for p in range(n):
            for q in range(m):
                exists = zoo.population(rows).layers[index].mask[:, p, q] != 0
                wanted = torch.where(exists, zoo.masks(rows)[index][:, p, q].to(torch.int8), ABSENT)
                assert torch.equal(target[:, edge], wanted)
                edge += 1
    assert edge == target.shape[1]
    assert {-1, 0, 1} == set(target.flatten().tolist())
    assert [mask is not None for mask in graph.edge_mask] == [True] * 3


@given(seed=st.integers(0, 2**62), places=st.lists(st.integers(0, 59), min_size=1, max_size=6), lazy=st.booleans())
def test_an_augmented_draw_is_the_permuted_kan_with_its_mask(seed: int, places: list[int], lazy: bool) -> None:
    zoo = pruned()
    data = dataset(zoo, augment=("permutation",), memory_limit=0 if lazy else 2**30)
    graph, target = data[BatchIndices(places, seed)]
    rows = zoo.split("train")[places]
    permutation = Permutation.random(WIDTHS, len(rows), torch.Generator().manual_seed(seed))
    expected = kan_graph(zoo.population(rows).permute(permutation))
    assert all(torch.equal(a, b) for a, b in zip(graph.edges, expected.edges, strict=True))
    for place, row in enumerate(rows):
        order = [torch.arange(WIDTHS[0]), *(each[place] for each in permutation.orders), torch.arange(WIDTHS[-1])]
        blocks = []
        for index, mask in enumerate(zoo.masks(row.unsqueeze(0))):
            exist = zoo.population(row.unsqueeze(0)).layers[index].mask != 0
            block = torch.where(exist, mask.to(torch.int8), ABSENT)[0]
            blocks.append(block[order[index]][:, order[index + 1]].flatten())
        assert torch.equal(target[place], torch.cat(blocks))


def test_only_draws_are_augmented_and_only_if_asked(zoo: FakeZoo) -> None:
    data, plain = dataset(zoo, augment=("permutation",)), dataset(zoo)
    assert torch.equal(data[[1, 2]][1], plain[[1, 2]][1])
    assert torch.equal(plain[BatchIndices([1, 2], 3)][1], plain[[1, 2]][1])
    assert not torch.equal(data[BatchIndices([1, 2], 3)][1], plain[[1, 2]][1])
    values = torch.rand(2, zoo.spec.num_edges)
    assert augment_edges(values, WIDTHS, [], 0) is values


@given(st.integers(0, 999))
def test_loss_is_binary_cross_entropy_over_edges_that_exist(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    output = torch.randn(4, 9, generator=generator)
    target = torch.randint(-1, 2, (4, 9), generator=generator).to(torch.int8)
    mean = [
        -F.logsigmoid(x if t == 1 else -x)
        for x, t in zip(output.flatten(), target.flatten().tolist(), strict=True)
        if t != ABSENT
    ]
    torch.testing.assert_close(PruningMask().loss(output, target), torch.stack(mean).mean())
    changed = torch.where(target == ABSENT, 50.0, output)
    assert torch.equal(PruningMask().loss(changed, target), PruningMask().loss(output, target))


@pytest.mark.parametrize("value", [0, 1, ABSENT])
def test_equal_targets_give_numbers(value: int) -> None:
    task, target = PruningMask(), torch.full((3, 7), value, dtype=torch.int8)
    output = torch.randn(3, 7, requires_grad=True)
    loss = task.loss(output, target)
    loss.backward()  # type: ignore[no-untyped-call]
    assert bool(loss.isfinite())
    assert bool(output.grad.isfinite().all())  # type: ignore[union-attr]
    metrics = task.metrics()
    metrics.update(output.detach(), target)
    scores = metrics.compute()
    assert float(scores["auc"]) == 50
    assert bool(scores["accuracy"].isfinite())
    chosen = task.calibrated(output.detach(), target)
    if value == ABSENT:
        assert chosen == task
    else:
        assert bool((chosen.keep(output) == value).all())


def test_calibration_maximises_accuracy_over_edges_that_exist() -> None:
    output = torch.tensor([[-3.0, -2.0, -1.0, 5.0]])
    target = torch.tensor([[0, 1, 1, 0]], dtype=torch.int8)
    assert PruningMask().calibrated(output, target) == PruningMask(threshold=-2.5)
    target = torch.tensor([[0, 1, ABSENT, ABSENT]], dtype=torch.int8)
    calibrated = PruningMask().calibrated(output, target)
    metrics = calibrated.metrics()
    metrics.update(output, target)
    assert float(metrics.compute()["accuracy"]) == 100
    assert calibrated == PruningMask(threshold=-2.5)
    assert calibrated.keep(output).tolist() == [[False, True, True, True]]


@pytest.mark.parametrize(
    "name", [name for name, (_, config) in MODELS.items() if not issubclass(config, OutputsConfig)]
)
def test_outputs_are_one_list_of_edges(zoo: FakeZoo, name: str) -> None:
    net, data = model(zoo, name), dataset(zoo)
    output, target = predict(net, graph_loader(data, 25))
    assert output.shape == target.shape == (60, zoo.spec.num_edges)
    blocks = net(data[[7]][0])
    assert isinstance(blocks, list)
    torch.testing.assert_close(output[7:8], flatten_edges(blocks).squeeze(-1), rtol=1e-4, atol=1e-5)
    assert torch.equal(flatten_output(blocks), flatten_edges(blocks)[..., 0])


@pytest.mark.parametrize("name", ["ws_kan", "deep_sets", "set_transformer"])
def test_predictions_and_targets_follow_a_permutation_alike(zoo: FakeZoo, name: str) -> None:
    """The order of neurons does not matter: loss and metrics stay the same, KAN by KAN."""
    net, task = model(zoo, name), PruningMask()
    data, places = dataset(zoo, augment=("permutation",)), list(range(12))
    (graph, target), (moved, new_target) = data[places], data[BatchIndices(places, 5)]
    output, new_output = flatten_output(net(graph)), flatten_output(net(moved))
    assert not torch.equal(target, new_target)
    for index in places:  # the same (score, target) pairs in another order
        pairs = [
            sorted(zip(t[index].tolist(), o[index].tolist(), strict=True))
            for o, t in ((output, target), (new_output, new_target))
        ]
        assert [t for t, _ in pairs[0]] == [t for t, _ in pairs[1]]
        assert [o for _, o in pairs[0]] == pytest.approx([o for _, o in pairs[1]], rel=1e-3, abs=1e-5)
    torch.testing.assert_close(task.loss(output, target), task.loss(new_output, new_target), rtol=1e-4, atol=1e-5)


def test_zoos_without_masks_and_bad_thresholds_are_refused() -> None:
    with pytest.raises(DataError, match="no pruning masks"):
        PruningMask().check(FakeZoo())
    bare = FakeZoo(classifiers=True)
    del bare.columns["accuracy"]
    assert get_task("auto", bare) == PruningMask()
    for bad in (float("nan"), float("inf"), "0", None):
        with pytest.raises(DataError, match="threshold"):
            PruningMask(bad)  # type: ignore[arg-type]
