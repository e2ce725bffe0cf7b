"""What each form of features must not show."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from wskan.errors import DataError
from wskan.graph import FORMS, FeatureConfig, KANGraph, feature_statistics, kan_graph
from wskan.graph.forms import edge_features
from wskan.kan import KANSpec, Population, canonicalize, edge_functions, negate_neurons, scale_edges, shift_edges
from wskan.models import MODELS, WSKAN, OutputsConfig, Standardize, WSKANConfig, build_model
from wskan.testing import random_permutation, random_population

WIDTHS = (2, 4, 3, 2)
SPEC = KANSpec(widths=WIDTHS, grid=4)
WEIGHT_FORMS = tuple(form for form in FORMS if form != "observed")
forms, seeds = st.sampled_from(WEIGHT_FORMS), st.integers(0, 10**6)
configs = st.builds(
    FeatureConfig,
    form=st.sampled_from(FORMS),
    knots=st.booleans(),
    attribution=st.booleans(),
    probes=st.sampled_from([3, 30]),
) | st.builds(FeatureConfig, form=forms, knots=st.booleans())


def symmetric(kans: Population, seed: int, name: str) -> Population:
    """Other weights for the same function."""
    generator = torch.Generator().manual_seed(seed)
    values = [torch.randn(len(kans), n, m, generator=generator) for n, m in itertools.pairwise(WIDTHS)]
    which = [torch.rand(len(kans), n, generator=generator) < 0.5 for n in WIDTHS[1:-1]]
    which[0][:, 0] = True
    acts = {
        "scale": lambda k: scale_edges(k, [v.abs() + 0.1 for v in values]),
        "shift": lambda k: shift_edges(k, values),
        "sign": lambda k: negate_neurons(k, which),
    }
    return acts[name](kans)


def tensors(graph: KANGraph) -> list[Tensor]:
    return [*graph.edges, *graph.nodes]


def assert_same(one: KANGraph, other: KANGraph) -> None:
    for a, b in zip(tensors(one), tensors(other), strict=True):  # activations come in single precision
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@given(seeds, configs)
def test_dimensions_are_those_announced(seed: int, config: FeatureConfig) -> None:
    for kans in (random_population(WIDTHS, 3, seed), Population.init(SPEC, range(3))):
        graph = kan_graph(kans, config)
        assert graph.edge_dim == config.edge_dim(kans.spec)
        assert graph.node_dim == config.node_dim(kans.spec)
        for edges, layer in zip(graph.edges, kans.layers, strict=True):
            assert not edges[layer.mask == 0].any()
        assert not graph.nodes[0][..., : config.bias_dim].any()
        assert not graph.nodes[-1][..., config.bias_dim :].any()


@given(seeds, st.booleans())
def test_what_each_form_hides(seed: int, knots: bool) -> None:
    kans = random_population(WIDTHS, 3, seed, keep=1.0).to(torch.float64)
    hidden = {"raw": (), "folded": ("scale",), "gauge": ("scale", "shift", "sign"), "function": ("scale",)}
    for form, names in hidden.items():
        config = FeatureConfig(form=form, knots=knots)  # type: ignore[arg-type]
        before = kan_graph(kans, config)
        for name in ("scale", "shift", "sign"):
            after = kan_graph(symmetric(kans, seed, name), config)
            if name in names:
                assert_same(before, after)
            else:
                assert any(not torch.allclose(a, b, rtol=1e-3) for a, b in zip(before.edges, after.edges, strict=True))


@given(seeds)
def test_functions_show_a_shift_in_their_values_alone(seed: int) -> None:
    kans = random_population(WIDTHS, 3, seed, keep=1.0).to(torch.float64)
    config = FeatureConfig(form="function")
    before, after = kan_graph(kans, config), kan_graph(symmetric(kans, seed, "shift"), config)
    half = config.edge_dim(kans.spec) // 2
    for a, b in zip(before.edges, after.edges, strict=True):
        difference = b[..., :half] - a[..., :half]
        torch.testing.assert_close(difference, difference[..., :1].expand_as(difference), rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(b[..., half:], a[..., half:], rtol=1e-6, atol=1e-6)


@given(seeds, configs)
def test_a_permuted_kan_has_the_permuted_graph_in_every_form(seed: int, config: FeatureConfig) -> None:
    kans = random_population(WIDTHS, 3, seed).to(torch.float64)
    permutation = random_permutation(WIDTHS, seed, 3)
    assert_same(kan_graph(kans.permute(permutation), config), kan_graph(kans, config).permute(permutation))


@given(seeds)
def test_ws_kan_on_gauge_features_sees_no_symmetry(seed: int) -> None:
    kans = random_population(WIDTHS, 3, seed, keep=1.0).to(torch.float64)
    config = FeatureConfig(form="gauge", knots=True)
    dims = {"edge_dim": config.edge_dim(kans.spec), "node_dim": config.node_dim(kans.spec), "bias_dim": config.bias_dim}
    torch.manual_seed(seed)
    model = WSKAN(WSKANConfig(widths=WIDTHS, **dims, out_dim=3, hidden=8, num_layers=2)).double().eval()
    graph = kan_graph(kans, config)
    model.standardize.set(feature_statistics([graph], config.bias_dim))
    expected = model(graph)
    for name in ("scale", "shift", "sign"):
        other = symmetric(kans, seed, name).permute(random_permutation(WIDTHS, seed, 3))
        torch.testing.assert_close(model(kan_graph(other, config)), expected, rtol=1e-5, atol=1e-6)


def test_forms_are_what_their_functions_say() -> None:
    kans = random_population(WIDTHS, 3, 0, keep=1.0)
    gauge, graph = canonicalize(kans), kan_graph(kans, FeatureConfig(form="gauge", knots=True))
    for index, layer in enumerate(gauge.population.layers):
        assert torch.equal(graph.edges[index], torch.cat([layer.base_weight.unsqueeze(-1), layer.coef], -1))
        assert torch.equal(graph.nodes[index + 1][..., 0], gauge.biases[index])
        assert torch.equal(graph.nodes[index][..., 1:], layer.knots[..., 3:-3])  # mirrored with their neurons
    functions = kan_graph(kans, FeatureConfig(form="function"))
    for edges, pair in zip(functions.edges, edge_functions(kans, 12), strict=True):
        assert torch.equal(edges, torch.cat(pair, -1))


def test_statistics_and_standardising_leave_out_what_is_not_there() -> None:
    graph = kan_graph(random_population(WIDTHS, 50, 0), FeatureConfig(form="gauge", knots=True))
    statistics = feature_statistics([graph[:20], graph[20:]], 1)
    biases = torch.cat([nodes[..., 0].flatten() for nodes in graph.nodes[1:]])
    knots = torch.cat([nodes[..., 1:].flatten(0, 1) for nodes in graph.nodes[:-1]])
    torch.testing.assert_close(statistics.node_mean, torch.cat([biases.mean(0, keepdim=True), knots.mean(0)]))
    torch.testing.assert_close(
        statistics.node_std, torch.cat([biases.std(0, correction=0).unsqueeze(0), knots.std(0, correction=0)])
    )
    standardize = Standardize(graph.edge_dim, graph.node_dim, 1)
    standardize.set(statistics)
    nodes = standardize(graph).nodes
    assert not nodes[0][..., 0].any()
    assert not nodes[-1][..., 1:].any()
    again = torch.cat([layer[..., 0].flatten() for layer in nodes[1:]])
    torch.testing.assert_close((again.mean(), again.std(correction=0)), (torch.tensor(0.0), torch.tensor(1.0)))


@pytest.mark.parametrize(
    "name", [name for name, (_, config) in MODELS.items() if not issubclass(config, OutputsConfig)]
)
def test_configurations_with_biases_are_written_down_and_those_without_are_as_they_were(name: str) -> None:
    common = {"model": name, "widths": WIDTHS, "edge_dim": 8, "out_dim": 2}
    plain, biased = (MODELS[name][1](**common, **more) for more in ({}, {"node_dim": 1, "bias_dim": 1}))
    assert "bias_dim" not in plain.to_dict()
    assert biased.to_dict()["bias_dim"] == 1
    assert build_model(biased.to_dict()).config == biased
    with pytest.raises(DataError, match="cannot be biases"):
        MODELS[name][1](**common, bias_dim=1)


@given(configs)
def test_choices_are_read_as_they_are_written(config: FeatureConfig) -> None:
    assert FeatureConfig.from_dict(config.to_dict()) == config
    assert ("form" in config.to_dict()) == (config.form != "raw")
    assert ("probes" in config.to_dict()) == (config.probes > 0)


def test_the_default_is_functions_equation_5_is_written_as_before_and_nonsense_is_refused() -> None:
    assert FeatureConfig() == FeatureConfig(form="function", knots=False)
    assert FeatureConfig(form="raw").to_dict() == {"knots": False}
    assert FeatureConfig.from_dict({}) == FeatureConfig(form="raw")
    probes = [{"probes": value} for value in (-1, 1.5, True, 10**6, "many")]
    domains = [{"probes": 4, "probe_domain": value} for value in (None, [1], [1, 0], [0, float("nan")], "ab", [0, "1"])]
    odd = (
        {"form": "cooked"},
        {"form": ["raw"]},
        {"form": "observed"},
        {"knots": 1},
        {"attribution": 1},
        {"bias": True},
        [],
        "raw",
    )
    for bad in (*odd, *probes, *domains):
        with pytest.raises(DataError, match="features"):
            FeatureConfig.from_dict(bad)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="there are none"):
        edge_features(random_population(WIDTHS, 2, 0), "observed")
    with pytest.raises(DataError, match="form must be"):
        edge_features(random_population(WIDTHS, 2, 0), "cooked")  # type: ignore[arg-type]


def test_a_form_that_kans_cannot_have_is_refused_before_they_are_read() -> None:
    for basis, degree in (("rbf", 0), ("wavelet", 0)):
        spec = random_population(WIDTHS, 1, 0, basis=basis, degree=degree).spec
        FeatureConfig(form="folded").check(spec)
        with pytest.raises(DataError, match="no gauge"):
            FeatureConfig(form="gauge").check(spec)
