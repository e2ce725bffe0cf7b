"""WS-KAN on what KANs do at inputs that are learned."""

import json
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from same_function import RAW, WIDTHS, kans_in_domain, same_functions

from wskan.errors import DataError, ShapeError
from wskan.graph import EVALUABLE, FeatureConfig, KANGraph, collate, feature_statistics, kan_graph
from wskan.graph.probes import OBSERVED
from wskan.kan import responses
from wskan.models import WSKAN, WSKANConfig, build_model, load_model, save_model
from wskan.models.evaluating import spread_inputs
from wskan.models.ws_kan_pyg import WSKANPyG
from wskan.tasks import GraphDataset, INRClassification, TrainConfig, open_run, train
from wskan.tasks.output import flatten_output
from wskan.testing import FakeZoo, ModelConformance, random_population


class TestLearnedProbes(ModelConformance):
    def build(self, **config: Any) -> WSKAN:
        return WSKAN(WSKANConfig(**config, grid=4, learned_probes=7))

    def graph(
        self, size: int = 6, seed: int = 0, *, keep: float = 0.8, widths: tuple[int, ...] | None = None
    ) -> KANGraph:
        return kan_graph(random_population(widths or self.widths, size, seed, keep=keep), EVALUABLE)

    def test_every_bias_is_read(self) -> None:
        """There are none."""

    def test_features_are_standardized(self) -> None:
        """What is observed is: see :func:`test_it_is_ws_kan_on_what_is_observed`."""


def make(seed: int = 0, **config: Any) -> WSKAN:
    torch.manual_seed(seed)
    return WSKAN(WSKANConfig(**{**RAW, "num_layers": 2, "learned_probes": 30, **config})).eval()


def test_what_is_observed() -> None:
    kans, model = random_population(WIDTHS, 3, 0), make()
    graph = model.observe(kan_graph(kans, EVALUABLE))
    assert model.probes is not None
    assert (graph.edge_dim, graph.node_dim) == model.config.observed[:2] == (OBSERVED, 30)
    found = responses(kans, model.probes.detach())
    assert not graph.nodes[0].any()
    for nodes, expected in zip(graph.nodes[1:], found.nodes, strict=True):
        torch.testing.assert_close(nodes, expected)
    for edges, nodes in zip(graph.edges, graph.nodes[1:], strict=True):
        torch.testing.assert_close(edges.sum(1), nodes[..., :OBSERVED], rtol=1e-4, atol=1e-4)
    assert make(learned_probes=5).config.observed == (5, 5, 5)


@pytest.mark.parametrize("readout", ["graph", "edge"])
def test_it_is_ws_kan_on_what_is_observed(readout: str) -> None:
    graphs = [kan_graph(random_population(widths, 3, 0), EVALUABLE) for widths in (WIDTHS, (2, 7, 4, 3))]
    graph, model = collate(graphs), make(readout=readout)
    with torch.no_grad():
        seen = model.observe(graph)
        model.standardize.set(feature_statistics([seen], 30))
    fields = {"edge_dim": OBSERVED, "node_dim": 30, "bias_dim": 30, "learned_probes": 0}
    plain = make(readout=readout, **fields)
    plain.load_state_dict({name: tensor for name, tensor in model.state_dict().items() if name != "probes"})
    torch.testing.assert_close(flatten_output(model(graph)), flatten_output(plain(seen)), rtol=1e-4, atol=1e-4)


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), readout=st.sampled_from(["graph", "edge"]))
def test_scale_does_not_show_and_shift_and_sign_do(seed: int, readout: str) -> None:
    kans, model = kans_in_domain(seed), make(seed, readout=readout)
    graph = kan_graph(kans, EVALUABLE)
    with torch.no_grad():
        model.standardize.set(feature_statistics([model.observe(graph)], 30))
        expected = flatten_output(model(graph))
        others = {
            name: flatten_output(model(kan_graph(other, EVALUABLE))) for name, other in same_functions(kans, seed)
        }
    changes = {name: float((other - expected).abs().max()) for name, other in others.items()}
    assert changes["scale"] < 1e-5
    assert readout == "edge" or changes["permutation"] < 1e-5
    assert min(changes["shift"], changes["sign"]) > 3e-5


@pytest.mark.parametrize("hidden", [8, 16])  # without and with the C++ kernel
def test_the_gradient_of_the_inputs(hidden: int) -> None:
    graph, model = kan_graph(random_population(WIDTHS, 4, 0), EVALUABLE), make(hidden=hidden)
    assert model.probes is not None
    with torch.no_grad():
        model.standardize.set(feature_statistics([model.observe(graph)], 30))
    (gradient,) = torch.autograd.grad(model(graph).sum(), model.probes)
    assert bool((gradient != 0).all())
    direction, step = torch.randn(30, 2, generator=torch.Generator().manual_seed(0)), 1e-3
    ends = []
    with torch.no_grad():
        for sign in (1, -1):
            model.probes += sign * step * direction
            ends.append(float(model(graph).sum()))
            model.probes -= sign * step * direction
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(float((gradient * direction).sum()), rel=0.05)


def test_probes_begin_spread_over_the_box() -> None:
    for n_in in (1, 2, 784):
        x = spread_inputs(64, n_in)
        assert x.shape == (64, n_in)
        assert float(x.abs().max()) <= 1
        assert float((x.mean(0)).abs().max()) < 0.3
    quadrants = (spread_inputs(64, 2) > 0).long() @ torch.tensor([1, 2])
    assert quadrants.bincount().tolist() == [16] * 4


def test_it_trains_and_probes_move(tmp_path: Path) -> None:
    zoo, task = FakeZoo(), INRClassification()
    fields = {"widths": zoo.spec.widths, "edge_dim": 9, "node_dim": 5, "hidden": 16, "num_layers": 2}
    config = WSKANConfig(**fields, out_dim=task.out_dim, learned_probes=6, **WSKANConfig.fields_of(zoo.spec))
    training = TrainConfig(epochs=2, batch_size=16, warmup_steps=2, patience=0)
    with pytest.raises(DataError, match="form raw with knots"):
        train(zoo, tmp_path / "run", task=task, model=config, config=training, features=FeatureConfig(), device="cpu")
    run = train(zoo, tmp_path / "run", task=task, model=config, config=training, features=EVALUABLE, device="cpu")
    model = open_run(tmp_path / "run").model
    assert isinstance(model, WSKAN)
    assert model.probes is not None
    assert bool((model.probes != spread_inputs(6, 2)).all())
    graph = GraphDataset(zoo, "test", task, EVALUABLE)[[0, 1]][0]
    assert torch.equal(model(graph), run.model(graph))
    # the statistics are those of what the fresh model observed
    fresh = build_model(config)
    expected = GraphDataset(zoo, "train", task, EVALUABLE).statistics(7, model=fresh)
    torch.testing.assert_close(model.standardize.node_std, expected.node_std, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(model.standardize.edge_mean, expected.edge_mean, rtol=1e-4, atol=1e-4)


def test_configurations_are_written_down_and_older_ones_are_as_they_were(tmp_path: Path) -> None:
    model = make()
    assert WSKANConfig.from_dict(json.loads(json.dumps(model.config.to_dict()))) == model.config
    save_model(model, tmp_path)
    assert load_model(tmp_path).config == model.config
    plain = WSKANConfig(widths=WIDTHS, edge_dim=9, out_dim=3, grid=7, base="zero")
    assert plain == WSKANConfig(widths=WIDTHS, edge_dim=9, out_dim=3)
    assert set(plain.to_dict()) == {
        "model", "widths", "edge_dim", "node_dim", "out_dim", "readout", "hidden", "num_layers", "dropout",
        "format_version", "positional_encoding", "backward_messages", "checkpoint_activations",
    }  # fmt: skip
    plain.check_kans(random_population(WIDTHS, 1, 0).spec, FeatureConfig())


def test_what_cannot_be_is_refused() -> None:
    for bad, match in (
        ({"learned_probes": -1}, "learned_probes"),
        ({"learned_probes": True}, "learned_probes"),
        ({"learned_probes": 10**6}, "learned_probes"),
        ({"edge_dim": 24}, "read features of form raw with knots"),
        ({"bias_dim": 1}, "read features of form raw with knots"),
    ):
        with pytest.raises(DataError, match=match):
            make(**bad)
    with pytest.raises(DataError, match="learned probes need dense graphs"):
        WSKANPyG(make())
    with pytest.raises(ShapeError, match="make the graphs with"):
        make()(kan_graph(random_population(WIDTHS, 2, 0), FeatureConfig()))
