import dataclasses
import itertools

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch_geometric.data import Batch, Data

from wskan.errors import DataError, ShapeError
from wskan.graph import (
    FeatureConfig,
    KANGraph,
    collate,
    concatenate,
    edge_positions,
    feature_statistics,
    from_pyg,
    kan_graph,
    node_positions,
    num_edge_positions,
    num_node_positions,
    to_pyg,
)
from wskan.kan import KANSpec, Permutation, Population
from wskan.testing import random_permutation, random_population

RAW = FeatureConfig(form="raw")

WIDTHS = (2, 5, 4, 3)
widths_strategy = st.lists(st.integers(1, 6), min_size=2, max_size=5).map(tuple)


def assert_same(one: KANGraph, other: KANGraph) -> None:
    for field in dataclasses.fields(KANGraph):
        for a, b in zip(getattr(one, field.name), getattr(other, field.name), strict=True):
            assert (a is None and b is None) or torch.equal(a, b)


def test_features_are_equation_5() -> None:
    population = random_population(WIDTHS, 3, 0, keep=1.0)
    graph = kan_graph(population, RAW)
    for layer, edges in zip(population.layers, graph.edges, strict=True):
        assert torch.equal(edges[..., 0], layer.base_weight)
        assert torch.equal(edges[..., 1], layer.spline_weight)
        assert torch.equal(edges[..., 2:], layer.coef)
    assert graph.edge_mask == (None,) * 3
    assert (graph.edge_dim, graph.node_dim, graph.widths) == (4 + 3 + 2, 0, WIDTHS)


def test_knots_as_node_features() -> None:
    population = random_population(WIDTHS, 3, 0)
    graph = kan_graph(population, FeatureConfig(form="raw", knots=True))
    assert torch.equal(graph.nodes[1], population.layers[1].knots[..., 3:-3])
    assert not graph.nodes[-1].any()
    uniform = kan_graph(
        Population.init(KANSpec(widths=WIDTHS, grid=4), range(2)), FeatureConfig(form="raw", knots=True)
    )
    torch.testing.assert_close(uniform.nodes[2][1, 3], torch.linspace(-1, 1, 5))


@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(2, 6))
def test_permuted_kan_has_the_permuted_graph(seed: int, first: int, second: int) -> None:
    population, config = random_population((2, first, second, 3), 3, seed), FeatureConfig(form="raw", knots=True)
    permutation = random_permutation(population.spec.widths, seed, 3)
    assert_same(kan_graph(population.permute(permutation), config), kan_graph(population, config).permute(permutation))


@given(st.integers(0, 10**6), widths_strategy, st.booleans())
def test_pyg_round_trip(seed: int, widths: tuple[int, ...], knots: bool) -> None:
    graph = kan_graph(random_population(widths, 3, seed), FeatureConfig(form="raw", knots=knots))
    if any(mask is not None and not mask.flatten(1).any(1).all() for mask in graph.edge_mask):
        return  # a layer without any edge; see below
    assert_same(_all_masks(from_pyg(to_pyg(graph))), _all_masks(graph))


def test_pyg_round_trip_of_padded_graphs_and_empty_layers() -> None:
    graph = collate([kan_graph(random_population(widths, 2, 0), RAW) for widths in (WIDTHS, (2, 7, 3, 3))])
    assert_same(from_pyg(to_pyg(graph)), graph)
    empty = kan_graph(random_population(WIDTHS, 1, 0, keep=0.0), RAW)
    assert_same(from_pyg(to_pyg(empty)), empty)


def _all_masks(graph: KANGraph) -> KANGraph:
    masks = tuple(
        torch.ones(e.shape[:3], dtype=torch.bool) if m is None else m
        for e, m in zip(graph.edges, graph.edge_mask, strict=True)
    )
    return dataclasses.replace(graph, edge_mask=masks)


@given(st.integers(0, 10**6), widths_strategy, st.integers(1, 7), st.sampled_from([0.5, 1.0]))
def test_graphs_that_come_a_few_at_a_time(seed: int, widths: tuple[int, ...], step: int, keep: float) -> None:
    population = random_population(widths, 7, seed, keep=keep)
    for layer in population.layers:
        layer.mask[:step] = 1  # the first few have no masks
    parts = [kan_graph(population[begin : begin + step]) for begin in range(0, 7, step)]
    assert_same(concatenate(iter(parts), 7), collate(parts))
    with pytest.raises(ShapeError, match="expected 8 graphs, got 7"):
        concatenate(parts, 8)
    with pytest.raises(ShapeError, match="cannot put"):
        concatenate(parts, 6)


def test_pyg_fields() -> None:
    graph = kan_graph(random_population((2, 3, 2), 2, 0, keep=1.0), RAW)
    data = to_pyg(graph, torch.tensor([4, 5]))[1]
    assert data.edge_index.shape == (2, 12)
    assert data.y.tolist() == [5]
    assert data.layer.tolist() == [0, 0, 1, 1, 1, 2, 2]
    assert data.node_position.tolist() == [0, 1, 2, 2, 2, 3, 4]  # figure 3
    assert torch.equal(data.edge_attr[7], graph.edges[1][1, 0, 1])
    batch = Batch.from_data_list(to_pyg(graph))
    assert batch.num_nodes == 14


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update({"layer": None}), "need x"),
        (lambda d: d.update({"layer": d["layer"].flip(0)}), "sorted by layer"),
        (lambda d: d.update({"edge_index": d["edge_index"].flip(0)}), "from one layer to the next"),
        (lambda d: d.update({"edge_index": d["edge_index"][:, [0, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]]}), "at most one"),
    ],
)
def test_foreign_pyg_graphs_are_checked(change, message: str) -> None:  # type: ignore[no-untyped-def]
    fields = to_pyg(kan_graph(random_population((2, 3, 2), 1, 0, keep=1.0), RAW))[0].to_dict()
    change(fields)
    with pytest.raises(ShapeError, match=message):
        from_pyg([Data(**fields)])


@given(widths_strategy)
def test_positions(widths: tuple[int, ...]) -> None:
    nodes, edges = node_positions(widths), edge_positions(widths)
    assert sorted(torch.cat(nodes).unique().tolist()) == list(range(num_node_positions(widths)))
    assert sorted(torch.cat([e.flatten() for e in edges]).unique().tolist()) == list(range(num_edge_positions(widths)))
    seen: dict[int, tuple[int, int]] = {}
    for index, block in enumerate(edges):  # an edge's position is as good as those of its endpoints
        for p in range(widths[index]):
            for q in range(widths[index + 1]):
                pair = (int(nodes[index][p]), int(nodes[index + 1][q]))
                assert seen.setdefault(int(block[p, q]), pair) == pair
    assert len(set(seen.values())) == len(seen)


@given(widths_strategy, st.integers(1, 7))
def test_positions_of_another_depth(widths: tuple[int, ...], layers: int) -> None:
    """Ends keep theirs, layers between keep their order, and all are positions that KANs of that depth have."""
    same = (widths[0], *[5] * (layers - 1), widths[-1])
    counts = len(widths) - 2, layers - 1
    if 0 in counts and any(counts):
        with pytest.raises(ShapeError, match=r"has no positions.*train a model on KANs"):
            node_positions(widths, layers)
        return
    nodes, known = node_positions(widths, layers), node_positions(same)
    assert torch.equal(nodes[0], known[0])
    assert torch.equal(nodes[-1], known[-1])
    middle = [int(layer[0]) for layer in nodes[1:-1]]
    assert middle == sorted(middle)
    assert set(middle) <= {int(layer[0]) for layer in known[1:-1]}
    if len(middle) >= len(known) - 2:
        assert set(middle) == {int(layer[0]) for layer in known[1:-1]}
    if 1 not in counts or counts == (1, 1):
        edges = edge_positions(widths, layers)
        assert [tuple(block.shape) for block in edges] == list(itertools.pairwise(widths))
        allowed = torch.cat([block.flatten() for block in edge_positions(same)]).tolist()
        assert set(torch.cat([block.flatten() for block in edges]).tolist()) <= set(allowed)
        if layers > 1:
            assert torch.equal(edges[-1][0], edge_positions(same)[-1][0])


def test_masked_edges_are_zero_and_absent() -> None:
    population = random_population(WIDTHS, 4, 0)
    graph = kan_graph(population, RAW)
    for edges, mask, layer in zip(graph.edges, graph.edge_mask, population.layers, strict=True):
        assert torch.equal(mask, layer.mask == 1)
        assert not edges[~mask].any()


def test_statistics_equal_those_of_everything_at_once() -> None:
    graph = kan_graph(random_population(WIDTHS, 9, 0), FeatureConfig(form="raw", knots=True))
    rows = torch.cat([edges[mask] for edges, mask in zip(graph.edges, graph.edge_mask, strict=True)]).double() + 100
    shifted = dataclasses.replace(graph, edges=tuple(e + 100 for e in graph.edges))
    statistics = feature_statistics([shifted[:2], shifted[2:3], shifted[3:]])
    torch.testing.assert_close(statistics.edge_mean, rows.mean(0).float())
    torch.testing.assert_close(statistics.edge_std, rows.std(0, correction=0).float())
    knots = torch.cat([nodes.flatten(0, 1) for nodes in graph.nodes[:-1]])
    torch.testing.assert_close(statistics.node_std, knots.std(0, correction=0))
    with pytest.raises(DataError):
        feature_statistics([])
    with pytest.raises(DataError, match="finite"):
        feature_statistics([graph.map(lambda t: t * float("nan") if t.is_floating_point() else t)])


def test_graphs_that_do_not_fit_are_refused() -> None:
    graph = kan_graph(random_population(WIDTHS, 2, 0), RAW)
    for widths in ((2, 5, 3), (1, 5, 4, 3), (2, 5, 4, 2)):
        with pytest.raises(ShapeError, match="must agree"):
            collate([graph, kan_graph(random_population(widths, 2, 0), RAW)])
    with pytest.raises(ShapeError):
        dataclasses.replace(graph, edges=graph.edges[:2])
    with pytest.raises(ShapeError, match="layer 1"):
        dataclasses.replace(graph, edges=(graph.edges[0], graph.edges[1][:, 1:], graph.edges[2]))
    with pytest.raises(ShapeError, match="permutations"):
        graph.permute(Permutation([torch.arange(5)]))


def test_a_graph_that_is_not_there() -> None:
    population = random_population(WIDTHS, 3, 0)
    assert len(list(kan_graph(population, RAW))) == 3  # iteration ends
    assert len(kan_graph(population, RAW)[-1]) == 1
    for index in (3, -4):
        with pytest.raises(IndexError):
            kan_graph(population, RAW)[index]
        with pytest.raises(IndexError):
            population[index]
