import dataclasses
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch_geometric.data import Batch

from wskan.errors import DataError, ShapeError
from wskan.graph import FeatureConfig, KANGraph, collate, edge_positions, feature_statistics, kan_graph, to_pyg
from wskan.models import WSKAN, WSKANConfig
from wskan.models.ops import edge_messages as messages
from wskan.models.ws_kan_pyg import WSKANPyG
from wskan.testing import (
    ModelConformance,
    assert_equivariant,
    equivariance_error,
    random_permutation,
    random_population,
)

RAW = FeatureConfig(form="raw")

WIDTHS = (2, 5, 4, 3)


def make(widths: tuple[int, ...] = WIDTHS, seed: int = 0, **config: Any) -> WSKAN:
    torch.manual_seed(seed)
    return WSKAN(
        WSKANConfig(**{"widths": widths, "edge_dim": 9, "out_dim": 3, "hidden": 16, "num_layers": 2, **config})
    ).eval()


class TestWSKAN(ModelConformance):
    def build(self, **config: Any) -> WSKAN:
        return WSKAN(WSKANConfig(**config))


class TestWithoutPositions(ModelConformance):
    def build(self, **config: Any) -> WSKAN:
        return WSKAN(WSKANConfig(**config, positional_encoding=False))


class TestWithoutBackwardMessages(ModelConformance):
    def build(self, **config: Any) -> WSKAN:
        return WSKAN(WSKANConfig(**config, backward_messages=False))


@given(
    st.integers(0, 10**6),
    st.sampled_from(["graph", "edge"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([(2, 5, 4, 3), (3, 6, 2), (2, 3)]),
)
def test_dense_equals_pyg(seed: int, readout: str, positions: bool, backward: bool, widths: tuple[int, ...]) -> None:
    graph = kan_graph(random_population(widths, 3, seed), FeatureConfig(form="raw", knots=True))
    dense = make(widths, seed, readout=readout, node_dim=5, positional_encoding=positions, backward_messages=backward)
    dense.standardize.node_mean.normal_()
    dense.standardize.edge_std.uniform_(0.5, 2)
    reference = WSKANPyG(dense)(Batch.from_data_list(to_pyg(graph)))
    output = as_pyg(dense(graph), graph)
    torch.testing.assert_close(output, reference, rtol=1e-5, atol=1e-5)


def as_pyg(output: torch.Tensor | list[torch.Tensor], graph: KANGraph) -> torch.Tensor:
    """An edge readout as the reference gives it: per graph, layer after layer, existing edges only."""
    if isinstance(output, torch.Tensor):
        return output
    masks = [
        torch.ones(block.shape[:3], dtype=torch.bool) if mask is None else mask
        for block, mask in zip(output, graph.edge_mask, strict=True)
    ]
    return torch.cat([block[i][mask[i]] for i in range(len(graph)) for block, mask in zip(output, masks, strict=True)])


@pytest.mark.parametrize("readout", ["graph", "edge"])
@pytest.mark.parametrize("hidden", [8, 16])  # without and with the C++ kernel
@pytest.mark.parametrize("chunk", [1, 2**22])  # one graph at a time, and all
def test_dense_and_pyg_have_the_same_gradients(
    readout: str, hidden: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "CHUNK", chunk)
    graph, model = kan_graph(random_population(WIDTHS, 3, 0), RAW), make(readout=readout, hidden=hidden)
    gradients = []
    for output in (as_pyg(model(graph), graph), WSKANPyG(model)(Batch.from_data_list(to_pyg(graph)))):
        model.zero_grad()
        output.square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    for dense, reference in zip(*gradients, strict=True):
        torch.testing.assert_close(dense, reference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("readout", ["graph", "edge"])
@pytest.mark.parametrize("hidden", [8, 16])
def test_the_backward_pass_reads_one_state_of_edges_a_layer(readout: str, hidden: int) -> None:
    graph = kan_graph(random_population((40, 40, 3), 2, 0, keep=1.0), RAW)
    model, held = make((40, 40, 3), readout=readout, hidden=hidden, num_layers=3), {}

    def hold(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.shape[:3] == (2, 40, 40) and tensor.shape[-1] != graph.edge_dim:
            held[tensor.data_ptr()] = tensor.shape[-1] / hidden
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(hold, lambda tensor: tensor):
        model(graph)
    # none in the first layer, which reads features, and one in an edge readout
    assert sum(held.values()) == (3 if readout == "edge" else 2)


def test_checkpointing_changes_nothing() -> None:
    graph = kan_graph(random_population(WIDTHS, 3, 0), RAW)
    plain, thrifty = make(), make(checkpoint_activations=True)
    thrifty.load_state_dict(plain.state_dict())
    outputs = [model(graph) for model in (plain, thrifty)]
    assert torch.equal(*outputs)
    for output in outputs:
        output.square().sum().backward()
    for a, b in zip(plain.parameters(), thrifty.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_without_backward_messages_inputs_know_nothing() -> None:
    one = kan_graph(random_population(WIDTHS, 1, 0, keep=1.0), RAW)
    other = one.map(torch.clone)
    other.edges[-1].add_(1)
    model = make(backward_messages=False, readout="edge", num_layers=1)
    assert torch.equal(model(one)[0], model(other)[0])
    with_backward = make(readout="edge", num_layers=2)
    assert not torch.equal(with_backward(one)[0], with_backward(other)[0])


def test_positions_tell_inputs_apart() -> None:
    graph = kan_graph(random_population(WIDTHS, 2, 0, keep=1.0), RAW)
    swapped = graph.map(torch.clone)
    swapped.edges[0].copy_(graph.edges[0].flip(1))
    assert not torch.allclose(make()(graph), make()(swapped), atol=1e-6)
    blind = make(positional_encoding=False)
    torch.testing.assert_close(blind(graph), blind(swapped), rtol=1e-4, atol=1e-5)


def test_other_hidden_widths_and_other_depths() -> None:
    model = make()
    wider = kan_graph(random_population((2, 9, 8, 3), 2, 0), RAW)
    assert model(wider).shape == (2, 3)
    assert_equivariant(model, wider)
    deeper = kan_graph(random_population((2, 5, 6, 4, 3), 2, 0), RAW)
    assert model(deeper).shape == (2, 3)
    assert_equivariant(model, deeper)
    with pytest.raises(ShapeError, match="positions"):
        WSKANPyG(model)(to_pyg(deeper)[0])
    for widths in ((3, 5, 4, 3), (2, 5, 4, 2), (2, 5, 3)):
        with pytest.raises(ShapeError, match=r"positions|counterpart"):
            model(kan_graph(random_population(widths, 2, 0), RAW))
    assert make(positional_encoding=False)(kan_graph(random_population((2, 5, 3), 2, 0), RAW)).shape == (2, 3)
    with pytest.raises(ShapeError, match="features"):
        model(kan_graph(random_population(WIDTHS, 2, 0, grid=5), RAW))


def test_padded_neurons_and_absent_edges_do_not_matter_whatever_they_hold() -> None:
    graph = collate([kan_graph(random_population(widths, 2, 0), RAW) for widths in (WIDTHS, (2, 7, 6, 3))])
    dirty = graph.map(torch.clone)
    for edges, mask in zip(dirty.edges, dirty.edge_mask, strict=True):
        edges[~mask] = 7.0
    torch.testing.assert_close(make()(graph), make()(dirty))


def test_autocast_is_close() -> None:
    graph, model = kan_graph(random_population(WIDTHS, 8, 0), RAW), make()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = model(graph)
    assert mixed.dtype == torch.bfloat16
    torch.testing.assert_close(mixed.float(), model(graph), rtol=0.1, atol=0.05)


def test_the_tester_catches_a_model_that_is_broken_on_purpose() -> None:
    graph, model = kan_graph(random_population(WIDTHS, 2, 0), RAW), make()

    def broken(graph):  # type: ignore[no-untyped-def]
        return model(graph) + 0.1 * graph.edges[0][:, :, 0].flatten(1)[:, :1]  # looks at hidden neuron 0

    assert equivariance_error(broken, graph, random_permutation(graph.widths, 0)) > 1e-3
    with pytest.raises(AssertionError, match="equivariance error"):
        assert_equivariant(broken, graph)


def test_positions() -> None:
    assert [p.tolist() for p in edge_positions((2, 1, 2, 2))] == [[[0], [1]], [[2, 2]], [[3, 4], [3, 4]]]


def test_inner_dropout_shows_some_kans_by_their_outputs_alone() -> None:
    features = FeatureConfig(form="observed", probes=8)
    graph = kan_graph(random_population((2, 4, 3, 1), 40, 0, keep=1.0), features)
    other = kan_graph(random_population((2, 4, 3, 1), 40, 1, keep=1.0), features)
    other = dataclasses.replace(other, nodes=(*other.nodes[:-1], graph.nodes[-1]))  # other KANs of the same outputs
    dims = {"edge_dim": 8, "node_dim": 8, "bias_dim": 8, "hidden": 16, "num_layers": 2, "dropout": 0.0}
    model = WSKAN(WSKANConfig(widths=(2, 4, 3, 1), out_dim=3, **dims, inner_dropout=0.4))  # type: ignore[arg-type]
    model.standardize.set(feature_statistics([graph], 8))
    outputs = []
    for seen in (graph, other):
        torch.manual_seed(0)
        outputs.append(model(seen))
    same = (outputs[0] - outputs[1]).abs().amax(1) < 1e-6
    assert 0.2 < float(same.float().mean()) < 0.6
    model.eval()
    assert ((model(graph) - model(other)).abs().amax(1) > 1e-4).all()
    plain = model.config.to_dict()
    assert plain.pop("inner_dropout") == 0.4
    assert WSKANConfig.from_dict(plain).to_dict() == plain
    for bad in (-0.1, 1, "half"):
        with pytest.raises(DataError, match="inner_dropout must be"):
            WSKANConfig.from_dict({**plain, "inner_dropout": bad})
