from typing import Any

import torch

from wskan.graph import FeatureConfig, kan_graph
from wskan.models import DeepSets, DeepSetsConfig
from wskan.models.baselines.edge_set import edge_tokens, flat_edge_mask, mean_over_edges
from wskan.testing import ModelConformance, random_population

RAW = FeatureConfig(form="raw")


class TestDeepSets(ModelConformance):
    sees_topology = False

    def build(self, **config: Any) -> DeepSets:
        return DeepSets(DeepSetsConfig(**config))


def test_an_edge_sees_the_others() -> None:
    torch.manual_seed(0)
    model = DeepSets(
        DeepSetsConfig(widths=(2, 4, 1), edge_dim=9, out_dim=2, readout="edge", hidden=8, num_layers=1)
    ).eval()
    graph = kan_graph(random_population((2, 4, 1), 3, 0, keep=1.0), RAW)
    before = model(graph)[1]
    graph.edges[0][:, 0, 0] += 1
    assert bool((model(graph)[1] != before).all())


def test_its_layer_is_the_equation_edge_by_edge() -> None:
    torch.manual_seed(0)
    model = DeepSets(DeepSetsConfig(widths=(2, 3, 1), edge_dim=9, out_dim=2, hidden=8, num_layers=1)).eval()
    layer = model.layers[0]
    graph = kan_graph(random_population((2, 3, 1), 2, 0, keep=0.7), RAW)
    x, exist = model.embedding(edge_tokens(graph)), flat_edge_mask(graph)
    assert exist is not None
    found = layer(x, exist)
    for b in range(2):
        normed = layer.norm(x[b])
        mean = torch.stack([normed[i] for i in range(len(normed)) if exist[b, i]]).mean(0)
        for i in range(len(normed)):
            inner = torch.nn.functional.silu(layer.mlp.first(normed[i]) + layer.context(mean))
            torch.testing.assert_close(found[b, i], x[b, i] + layer.mlp.second(inner))


def test_counts_are_exact_in_bf16() -> None:
    x, exist = torch.ones(1, 1001, 2, dtype=torch.bfloat16), torch.ones(1, 1001, dtype=torch.bool)
    assert torch.equal(mean_over_edges(x, exist).float(), torch.ones(1, 2))
    assert torch.equal(mean_over_edges(x, ~exist).float(), torch.zeros(1, 2))
