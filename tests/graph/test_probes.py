"""What probes show of a KAN, and what they do not."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from wskan.graph import (
    FeatureConfig,
    KANGraph,
    collate,
    feature_statistics,
    features,
    from_pyg,
    kan_graph,
    probe_inputs,
    to_pyg,
)
from wskan.kan import KANSpec, Population, negate_neurons, scale_edges, shift_edges
from wskan.models import WSKAN, WSKANConfig
from wskan.testing import in_domain, random_permutation, random_population

WIDTHS = (2, 4, 3, 2)
OBSERVED = FeatureConfig(form="observed", probes=30)
seeds = st.integers(0, 10**6)


def probed(kans: Population, x: Tensor, config: FeatureConfig = OBSERVED) -> KANGraph:
    """KAN-graphs with other probes than the usual ones: inputs of which activations stay in the domain."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "probe_inputs", lambda *_: x)
        return kan_graph(kans, config)


def test_few_inputs_are_probed_alike_and_many_at_quantiles_of_their_own_grids() -> None:
    few = probe_inputs(random_population((2, 3, 1), 4, 0), 50, (-1.0, 3.0))
    assert few.shape == (1, 50, 2)
    assert few.min() > -1
    assert few.max() < 3
    assert torch.equal(few[:, :20], probe_inputs(random_population((2, 9, 1), 1, 1), 20, (-1.0, 3.0)))
    kans = random_population((9, 3, 1), 4, 0)
    many = probe_inputs(kans, 4_000, (-1.0, 1.0))
    assert many.shape == (4, 4_000, 9)
    knots = kans.spec.basis_functions.inner(kans.layers[0].knots)
    inside = (many.unsqueeze(-1) >= knots.unsqueeze(1)).float().mean(1)  # [K, in, G+1]
    assert (inside - torch.linspace(1, 0, 5)).abs().max() < 0.03  # as much of it between any two knots


def test_many_inputs_on_the_shared_uniform_grid() -> None:
    kans = Population.init(KANSpec(widths=(9, 2), grid=4, domain=(0.0, 2.0)), range(3))
    x = probe_inputs(kans, 1_000, (-1.0, 1.0))
    assert x.shape == (1, 1_000, 9)
    assert x.min() >= 0
    assert x.max() <= 2
    assert abs(float(x.mean()) - 1) < 0.05


@given(seeds, st.sampled_from([(2, 4, 3, 2), (9, 4, 2)]), st.floats(0.3, 1))
def test_nodes_carry_activations_and_observed_edges_add_up_to_them(
    seed: int, widths: tuple[int, ...], keep: float
) -> None:
    kans = random_population(widths, 3, seed, keep=keep)
    graph = kan_graph(kans, OBSERVED)
    outputs = kans(probe_inputs(kans, 30, (-1.0, 1.0)))
    torch.testing.assert_close(graph.nodes[-1].mT, outputs, rtol=1e-3, atol=1e-3)
    assert not graph.nodes[0].any()
    for edges, nodes, layer in zip(graph.edges, graph.nodes[1:], kans.layers, strict=True):
        torch.testing.assert_close(edges.sum(1), nodes[..., :24], rtol=1e-3, atol=1e-3)
        assert not edges[layer.mask == 0].any()


@given(seeds)
def test_no_scale_shows_and_a_sign_in_nothing_but_the_sign(seed: int) -> None:
    kans, x = in_domain(random_population(WIDTHS, 3, seed, keep=1.0).to(torch.float64), seed)
    x, generator = x[:, :30], torch.Generator().manual_seed(seed)
    values = [torch.rand(3, n, m, generator=generator) + 0.1 for n, m in itertools.pairwise(WIDTHS)]
    which = [torch.rand(3, n, generator=generator) < 0.5 for n in WIDTHS[1:-1]]
    before = probed(kans, x)
    scaled, negated = (probed(k, x) for k in (scale_edges(kans, values), negate_neurons(kans, which)))
    for a, b, c in zip(before.edges, scaled.edges, negated.edges, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(a * _signs(a, c), c, rtol=1e-3, atol=1e-3)
    for other in (scaled, negated):
        torch.testing.assert_close(before.nodes[-1], other.nodes[-1], rtol=1e-3, atol=1e-3)


def _signs(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """One sign for each edge: that of the neuron which it leads to."""
    return torch.where((a * b).sum((1, 3), keepdim=True) < 0, -1.0, 1.0)


@given(seeds)
def test_a_shift_shows_in_edges_and_not_in_nodes(seed: int) -> None:
    kans, x = in_domain(random_population(WIDTHS, 3, seed, keep=1.0).to(torch.float64), seed)
    generator = torch.Generator().manual_seed(seed)
    shifts = [torch.randn(3, n, m, generator=generator) for n, m in itertools.pairwise(WIDTHS)]
    before, after = (probed(k, x[:, :30]) for k in (kans, shift_edges(kans, shifts)))
    for a, b in zip(before.nodes, after.nodes, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=2e-3)
    assert any(not torch.allclose(a, b, atol=1e-2) for a, b in zip(before.edges, after.edges, strict=True))


@given(seeds)
def test_the_gauge_takes_the_sign_out_of_activations_too(seed: int) -> None:
    kans, x = in_domain(random_population(WIDTHS, 3, seed, keep=1.0).to(torch.float64), seed)
    generator = torch.Generator().manual_seed(seed)
    which = [torch.rand(3, n, generator=generator) < 0.5 for n in WIDTHS[1:-1]]
    config = FeatureConfig(form="gauge", probes=30)
    before, after = (probed(k, x[:, :30], config) for k in (kans, negate_neurons(kans, which)))
    for a, b in zip((*before.nodes, *before.edges), (*after.nodes, *after.edges), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


def test_ws_kan_with_probes_takes_mixed_widths_and_goes_through_pyg() -> None:
    narrow, wide = random_population((2, 4, 4, 1), 3, 0), random_population((2, 7, 5, 1), 3, 1)
    graphs = [kan_graph(kans, OBSERVED) for kans in (narrow, wide)]
    batch = collate(graphs)
    statistics = feature_statistics(graphs, OBSERVED.bias_dim)
    dims = {"edge_dim": 24, "node_dim": OBSERVED.node_dim(narrow.spec), "bias_dim": OBSERVED.bias_dim}
    model = WSKAN(WSKANConfig(widths=(2, 4, 4, 1), **dims, out_dim=3, hidden=8, num_layers=2)).eval()
    model.standardize.set(statistics)
    torch.testing.assert_close(model(batch), torch.cat([model(graph) for graph in graphs]), rtol=1e-4, atol=1e-4)
    again = from_pyg(to_pyg(batch))
    torch.testing.assert_close(model(again), model(batch), rtol=1e-4, atol=1e-4)
    permuted = kan_graph(wide.permute(random_permutation((2, 7, 5, 1), 0, 3)), OBSERVED)
    torch.testing.assert_close(model(permuted), model(graphs[1]), rtol=1e-4, atol=1e-4)
