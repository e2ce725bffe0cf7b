"""Models of the set of edges are invariant to more than the symmetry of KANs: to any reordering of edges."""

import dataclasses

import pytest
import torch
from torch import Tensor

from wskan.graph import FeatureConfig, KANGraph, collate, feature_statistics, kan_graph
from wskan.kan.edges import unflatten_edges
from wskan.models import MetaNetwork, build_model
from wskan.models.baselines.edge_set import edge_tokens, flat_edge_mask
from wskan.testing import random_population

RAW = FeatureConfig(form="raw")

WIDTHS = (2, 5, 4, 3)
CONFIGS = [{"model": "deep_sets"}, {"model": "set_transformer"}, {"model": "set_transformer", "inducing": 3}]
every_model = pytest.mark.parametrize("config", CONFIGS, ids=["deep_sets", "full", "induced"])


def make(config: dict[str, object], graph: KANGraph, readout: str) -> MetaNetwork:
    torch.manual_seed(0)
    shape = {"edge_dim": graph.edge_dim, "node_dim": graph.node_dim, "out_dim": 3, "hidden": 16, "num_layers": 2}
    model = build_model({"widths": list(graph.widths), "readout": readout, **shape, **config})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.standardize.set(feature_statistics([graph]))
    return model.eval()


def flat(blocks: list[Tensor]) -> Tensor:
    return torch.cat([block.flatten(1, 2) for block in blocks], 1)


@every_model
@pytest.mark.parametrize("keep", [0.7, 1.0])
def test_invariant_to_any_reordering_of_all_edges(config: dict[str, object], keep: float) -> None:
    graph = kan_graph(random_population(WIDTHS, 4, 0, keep=keep), RAW)
    order = torch.randperm(5 * 2 + 5 * 4 + 4 * 3)  # across layers
    exist = flat_edge_mask(graph)
    masks = (
        (None,) * 3 if exist is None else (m[..., 0] for m in unflatten_edges(exist[:, order].unsqueeze(-1), WIDTHS))
    )
    other = dataclasses.replace(
        graph, edges=tuple(unflatten_edges(edge_tokens(graph)[:, order], WIDTHS)), edge_mask=tuple(masks)
    )
    model = make(config, graph, "graph")
    torch.testing.assert_close(model(other), model(graph), rtol=1e-4, atol=1e-5)
    model = make(config, graph, "edge")
    torch.testing.assert_close(flat(model(other)), flat(model(graph))[:, order], rtol=1e-4, atol=1e-5)


@every_model
def test_an_edge_carries_the_features_of_its_source(config: dict[str, object]) -> None:
    graph = kan_graph(random_population(WIDTHS, 4, 0), FeatureConfig(form="raw", knots=True))
    model = make(config, graph, "graph")

    def reordered(dim: int) -> KANGraph:  # the edges of a block exchanged among its targets (2) or its sources (1)
        edges, masks = list(graph.edges), list(graph.edge_mask)
        edges[1] = edges[1].flip(dim)
        masks[1] = None if masks[1] is None else masks[1].flip(dim)
        return dataclasses.replace(graph, edges=tuple(edges), edge_mask=tuple(masks))

    torch.testing.assert_close(model(reordered(2)), model(graph), rtol=1e-4, atol=1e-5)
    assert bool(((model(reordered(1)) - model(graph)).abs() > 1e-4).any())
    assert edge_tokens(graph).shape == (4, 42, 9 + 5)


@every_model
@pytest.mark.parametrize("readout", ["graph", "edge"])
def test_absent_edges_and_padding_change_nothing_for_the_others(config: dict[str, object], readout: str) -> None:
    graph, wide = (
        kan_graph(random_population(w, 2, 0), FeatureConfig(form="raw", knots=True)) for w in (WIDTHS, (2, 9, 8, 3))
    )
    model, exist = make(config, graph, readout), flat_edge_mask(graph)
    padded, plain = model(collate([graph, wide])), model(graph)
    junk = graph.edges[0] + 7 * (~graph.edge_mask[0]).unsqueeze(-1)
    dirty = model(dataclasses.replace(graph, edges=(junk, *graph.edges[1:])))
    if readout == "graph":
        torch.testing.assert_close(padded[:2], plain, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(dirty, plain, rtol=1e-4, atol=1e-5)
        return
    cut = [block[:2, : e.shape[1], : e.shape[2]] for block, e in zip(padded, graph.edges, strict=True)]
    torch.testing.assert_close(flat(cut)[exist], flat(plain)[exist], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(flat(dirty)[exist], flat(plain)[exist], rtol=1e-4, atol=1e-5)


@every_model
@pytest.mark.parametrize("readout", ["graph", "edge"])
def test_a_kan_without_any_edge_harms_nobody(config: dict[str, object], readout: str) -> None:
    graph = kan_graph(random_population(WIDTHS, 2, 0), RAW)
    model = make(config, graph, readout)
    whole = [torch.tensor([True, False]).view(2, 1, 1).expand(edges.shape[:3]) for edges in graph.edges]
    outputs = model(dataclasses.replace(graph, edge_mask=tuple(whole)))
    outputs = [outputs] if isinstance(outputs, Tensor) else outputs
    sum(output.square().sum() for output in outputs).backward()
    assert all(bool(output.isfinite().all()) for output in outputs)
    assert all(bool(parameter.grad.isfinite().all()) for parameter in model.parameters())


@every_model
def test_any_depth(config: dict[str, object]) -> None:
    model = make(config, kan_graph(random_population(WIDTHS, 2, 0), RAW), "graph")
    assert model(kan_graph(random_population((4, 3), 2, 0), RAW)).shape == (2, 3)
