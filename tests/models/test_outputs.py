"""Models that see a KAN's outputs: nothing but its function counts."""

import dataclasses
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from same_function import RAW, WIDTHS, kans_in_domain, on_a_finer_grid, same_functions

from wskan.errors import DataError, DivergedError, ShapeError
from wskan.graph import EVALUABLE, FeatureConfig, KANGraph, collate, kan_graph
from wskan.kan import BASES, Population, kernel
from wskan.models import MetaNetwork, OutputsNetwork, ProbeGen, ProbeGenConfig, build_model
from wskan.models.ops.layers import Dropout
from wskan.testing import ModelConformance, random_population

MODELS = [
    {"model": "probe_gen", "probes": 6},
    {"model": "probe_gen", "probes": 6, "generator": False},
    {"model": "image_cnn", "side": 8},
]
every_model = pytest.mark.parametrize("options", MODELS, ids=["generator", "probes", "image"])


def make(options: dict[str, Any], seed: int = 0, **changes: Any) -> MetaNetwork:
    torch.manual_seed(seed)
    model = build_model({**RAW, **options, **changes})
    if isinstance(model, ProbeGen) and model.config.generator:  # all in the box
        with torch.no_grad():
            model.codes.mul_(0.9 / model.inputs().abs().amax())
    return model.eval()


class OutputsConformance(ModelConformance):
    readouts = ("graph",)

    def graph(
        self, size: int = 6, seed: int = 0, *, keep: float = 0.8, widths: tuple[int, ...] | None = None
    ) -> KANGraph:
        return kan_graph(random_population(widths or self.widths, size, seed, keep=keep), EVALUABLE)

    def test_every_bias_is_read(self) -> None:
        """There are none."""

    def test_features_are_standardized(self) -> None:
        """Outputs are: units in which a KAN answers do not matter, if all do so."""
        kans = random_population(self.widths, 6, 0)
        last = kans.layers[-1]
        fields = {name: 3 * getattr(last, name) for name in ("base_weight", "spline_weight")}
        larger = Population(kans.spec, [*kans.layers[:-1], dataclasses.replace(last, **fields)])
        models = [self.model("graph", self.graph()).train() for _ in range(2)]
        for model, own in zip(models, (kans, larger), strict=True):
            for module in model.modules():
                if isinstance(module, Dropout):
                    module.p = 0.0
            for _ in range(200):
                model(kan_graph(own, EVALUABLE))
            model.eval()
        outputs = [model(kan_graph(own, EVALUABLE)) for model, own in zip(models, (kans, larger), strict=True)]
        torch.testing.assert_close(*outputs, rtol=1e-3, atol=1e-3)


class TestGenerator(OutputsConformance):
    def build(self, **config: Any) -> MetaNetwork:
        return build_model({**config, "model": "probe_gen", "grid": 4, "probes": 7, "widths": list(config["widths"])})


class TestProbes(OutputsConformance):
    def build(self, **config: Any) -> MetaNetwork:
        options = {"model": "probe_gen", "grid": 4, "probes": 7, "generator": False}
        return build_model({**config, **options, "widths": list(config["widths"])})


class TestImage(OutputsConformance):
    def build(self, **config: Any) -> MetaNetwork:
        options = {"model": "image_cnn", "grid": 4, "side": 6, "affine": 0.0}
        return build_model({**config, **options, "widths": list(config["widths"])})


@every_model
@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10**6))
def test_the_same_function_by_other_weights_is_the_same(options: dict[str, Any], seed: int) -> None:
    kans, model = kans_in_domain(seed), make(options, seed)
    with torch.no_grad():
        expected = model(kan_graph(kans, EVALUABLE))
        for name, other in same_functions(kans, seed):
            found = model(kan_graph(other, EVALUABLE))
            assert (found - expected).abs().max() < 2e-3, name


@every_model
def test_the_same_function_in_another_basis_is_the_same(options: dict[str, Any]) -> None:
    kans = kans_in_domain(0)
    finer, model = on_a_finer_grid(kans), make(options)
    again = make(options, grid=8, edge_dim=13, node_dim=9)
    again.load_state_dict({k: v for k, v in model.state_dict().items() if "standardize" not in k}, strict=False)
    expected, found = model(kan_graph(kans, EVALUABLE)), again(kan_graph(finer, EVALUABLE))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


@every_model
@pytest.mark.parametrize("basis", list(BASES))
def test_other_bases(options: dict[str, Any], basis: str) -> None:
    degree, grid = {"chebyshev": (3, 1), "bspline": (2, 5), "wavelet": (1, 2)}.get(basis, (0, 4))
    kans = random_population(WIDTHS, 3, 0, basis=basis, degree=degree, grid=grid, base="zero")
    graph = kan_graph(kans, EVALUABLE)
    fields = {"edge_dim": graph.edge_dim, "node_dim": graph.node_dim, **ProbeGenConfig.fields_of(kans.spec)}
    model = make(options, **fields)
    assert isinstance(model, OutputsNetwork)
    x = model.inputs(3)
    expected = model.read(model.norm(kans(x).mT))
    torch.testing.assert_close(model(graph), expected, rtol=1e-3, atol=1e-3)


@every_model
def test_kans_are_evaluated_in_single_precision(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "unavailable", lambda spec: "not in this test")
    model, graph = make(options), kan_graph(random_population(WIDTHS, 3, 0), EVALUABLE)
    seen = list[torch.Tensor]()
    model.norm.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model(graph)
    with torch.autocast("cpu", torch.bfloat16):
        model(graph)
    assert torch.equal(*seen)


@every_model
def test_what_the_model_cannot_evaluate_is_refused(options: dict[str, Any]) -> None:
    model = make(options)
    for widths in ((3, 5, 4, 3), (2, 5, 4, 1)):
        with pytest.raises(ShapeError, match=r"\(inputs, outputs\)"):
            model(kan_graph(random_population(widths, 2, 0), EVALUABLE))
    with pytest.raises(ShapeError, match="make the graphs with FeatureConfig"):
        model(kan_graph(random_population(WIDTHS, 2, 0), FeatureConfig()))
    for bad, match in (
        ({"edge_dim": 24, "node_dim": 0}, "read features of form raw with knots"),
        ({"readout": "edge"}, "only the graph readout"),
        ({"domain": 3}, "domain"),
        ({"domain": [1.0, -1.0]}, "domain"),
        ({"basis": "unknown"}, "basis"),
        ({"base": []}, "base"),
        ({"grid": "4"}, "grid"),
    ):
        with pytest.raises(DataError, match=match):
            make(options, **bad)
    config, spec = model.config, random_population(WIDTHS, 1, 0).spec
    config.check_kans(spec, EVALUABLE)
    with pytest.raises(DataError, match="form raw with knots"):
        config.check_kans(spec, FeatureConfig())
    with pytest.raises(DataError, match="another domain and base"):
        config.check_kans(dataclasses.replace(spec, domain=(0.0, 1.0), base="zero"), EVALUABLE)


@every_model
def test_a_batch_of_other_widths_and_of_one(options: dict[str, Any]) -> None:
    model = make(options).train()
    graphs = [kan_graph(random_population(widths, 1, 0), EVALUABLE) for widths in (WIDTHS, (2, 7, 6, 3))]
    model(collate(graphs)).sum().backward()
    model(graphs[0]).sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters())


def test_inputs_are_spread_and_learn() -> None:
    for generator in (False, True):
        model = build_model({**RAW, "model": "probe_gen", "probes": 512, "generator": generator})
        assert isinstance(model, ProbeGen)
        x = model.inputs().detach()
        assert x.shape == (512, 2)
        assert 0.3 < float(x.std(0).min()) <= float(x.std(0).max()) < 1
        assert float(x.mean(0).abs().max()) < 0.15
    graph = kan_graph(random_population(WIDTHS, 4, 0), EVALUABLE)
    before = x.clone()
    optimizer = torch.optim.SGD([model.codes], lr=1.0)
    model(graph).square().sum().backward()
    optimizer.step()
    assert bool((model.inputs() != before).any(1).all())
    with torch.no_grad():
        model.codes.fill_(float("nan"))
    with pytest.raises(DivergedError, match="lower the learning rate"):
        model(graph)
