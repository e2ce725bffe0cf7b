"""What runs under torch.compile computes the same. Minutes of compilation, so not part of ``make test``."""

import pytest
import torch

from wskan.graph import EVALUABLE, FeatureConfig, kan_graph
from wskan.kan import FitConfig, KANSpec, fit_population, kernel
from wskan.models import WSKAN, WSKANConfig, build_model
from wskan.testing import random_population

RAW = FeatureConfig(form="raw")

SPEC = KANSpec(widths=(2, 4, 1), grid=3)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(kernel.unavailable(SPEC) is not None, reason="no C++ compiler"),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.mark.parametrize("readout", ["graph", "edge"])
def test_compiled_model_equals_eager(readout: str) -> None:
    torch.manual_seed(0)
    graph = kan_graph(random_population((2, 5, 4, 3), 3, 0), RAW)
    model = WSKAN(
        WSKANConfig(widths=(2, 5, 4, 3), edge_dim=9, out_dim=3, hidden=16, num_layers=2, readout=readout)
    ).eval()
    results = []
    for compiled in (False, True):
        if compiled:
            model.compile()
        model.zero_grad()
        output = model(graph)
        output = output if readout == "graph" else torch.cat([block.flatten(1) for block in output], 1)
        output.square().sum().backward()
        results.append((output.detach(), [parameter.grad.clone() for parameter in model.parameters()]))
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{"model": "probe_gen"}, {"model": "image_cnn"}, {"learned_probes": 6}])
def test_compiled_models_that_evaluate_kans_equal_eager_ones(options: dict[str, object]) -> None:
    torch.manual_seed(0)
    graph = kan_graph(random_population((2, 5, 4, 3), 3, 0), EVALUABLE)
    shape = {"widths": (2, 5, 4, 3), "edge_dim": 9, "node_dim": 5, "grid": 4, "out_dim": 3, "hidden": 16}
    model = build_model({"model": "ws_kan", **shape, "num_layers": 2, **options}).eval()
    results = []
    for forward in (model.forward, torch.compile(model.forward, dynamic=False)):
        model.zero_grad()
        output = forward(graph)
        output.square().sum().backward()
        results.append((output.detach(), [parameter.grad.clone() for parameter in model.parameters()]))
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-5)


def test_compiled_fit_equals_torch() -> None:
    x, y = torch.rand(60, 2), torch.randn(3, 60, 1)
    config = FitConfig(steps=8, batch_size=20, grid_update_until=4, grid_updates=2)
    plain, compiled = (
        fit_population(SPEC, x, y, torch.arange(3), config, engine=engine) for engine in ("torch", "compile")
    )
    torch.testing.assert_close(plain.loss, compiled.loss, rtol=1e-2, atol=1e-5)
