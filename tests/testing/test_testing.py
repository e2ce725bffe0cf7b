import math

import pytest
import torch

from wskan.errors import DataError
from wskan.graph import FeatureConfig, kan_graph
from wskan.kan import Permutation
from wskan.testing import FakeZoo, assert_equivariant, equivariance_error, random_permutation, random_population

RAW = FeatureConfig(form="raw")


def test_permutations_are_never_all_the_identity() -> None:
    for seed in range(50):
        permutation = random_permutation((2, 1, 2, 1), seed)
        assert permutation.hidden == (1, 2)
        assert permutation.orders[1].tolist() == [[1, 0]]
    with pytest.raises(ValueError, match="identity"):
        random_permutation((2, 1, 3), 0)


def test_errors_are_measured_for_graph_and_edge_outputs() -> None:
    graph = kan_graph(random_population((2, 4, 3, 1), 3, 0), RAW)
    permutation = Permutation([torch.arange(n).flip(0) for n in graph.widths[1:-1]])
    assert equivariance_error(lambda g: g.edges, graph, permutation) == 0
    assert equivariance_error(lambda g: torch.cat([e.sum((1, 2)) for e in g.edges]), graph, permutation) < 1e-5
    assert equivariance_error(lambda g: g.edges[1][:, 0, 0], graph, permutation) > 0.1
    assert equivariance_error(lambda g: [e + e[:, :1, :1] for e in g.edges], graph, permutation) > 0.1


def test_the_bound_follows_the_dtype() -> None:
    graph = kan_graph(random_population((2, 4, 3, 1), 3, 0), RAW)
    noisy = lambda g: g.edges[0].sum((1, 2)) + 1e-6 * g.edges[0][:, 0, 0]  # noqa: E731
    assert_equivariant(noisy, graph)
    with pytest.raises(AssertionError):
        assert_equivariant(noisy, graph.map(lambda t: t.double() if t.is_floating_point() else t))


def test_fake_zoo_looks_like_a_zoo() -> None:
    zoo = FakeZoo((2, 3, 1), train=5, val=2, test=3, seed=1)
    assert [len(zoo.split(name)) for name in ("train", "val", "test")] == [5, 2, 3]
    assert len(zoo.population(zoo.split("test"))) == 3
    assert zoo.spec.widths == (2, 3, 1)
    zoo.verify()
    again = FakeZoo((2, 3, 1), train=5, val=2, test=3, seed=1)
    assert torch.equal(zoo.population(slice(None)).layers[0].coef, again.population(slice(None)).layers[0].coef)


def test_fake_classifiers_have_accuracies_and_masks() -> None:
    zoo = FakeZoo(classifiers=True)
    assert not {"psnr", "label", "source"} & set(zoo.columns)
    assert zoo.columns["accuracy"].dtype == zoo.columns["noise"].dtype == torch.float32
    assert [tuple(mask.shape) for mask in zoo.masks(zoo.split("val"))] == [(20, 2, 4), (20, 4, 4), (20, 4, 1)]
    assert 0.05 < zoo.info()["kept_mean"] < 0.2
    for mask, score in zip(zoo.masks(slice(None)), zoo.scores(slice(None)), strict=True):
        assert torch.equal(score > math.log(0.01), mask)
    assert not FakeZoo().has_scores
    with pytest.raises(DataError, match="no scores of edges"):
        FakeZoo().scores(slice(None))
    assert not FakeZoo().has_masks
    with pytest.raises(DataError, match="no pruning masks"):
        FakeZoo().masks(slice(None))
