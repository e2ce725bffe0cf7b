"""Models saved by earlier versions still load and compute the same.

``python tests/models/test_golden.py`` writes the files of the present format version.
"""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from wskan.errors import DataError
from wskan.graph import FeatureConfig, KANGraph, kan_graph
from wskan.models import MODELS, OutputsConfig, WSKANConfig, build_model, load_model, save_model
from wskan.testing import random_population

GOLDEN = Path(__file__).parents[1] / "golden"


def graph_of(tensors: dict[str, torch.Tensor]) -> KANGraph:
    layers = range(2)
    masks = tuple(tensors[f"edge_mask.{i}"] for i in layers)
    nodes = tuple(tensors[f"nodes.{i}"] for i in range(3))
    return KANGraph(
        edges=tuple(tensors[f"edges.{i}"] for i in layers), nodes=nodes, edge_mask=masks, node_mask=(None,) * 3
    )


@pytest.mark.parametrize("folder", sorted(GOLDEN.iterdir()), ids=lambda folder: folder.name)
def test_golden_models(folder: Path) -> None:
    tensors = load_file(folder / "example.safetensors")
    with torch.no_grad():
        output = load_model(folder)(graph_of(tensors))
    torch.testing.assert_close(output, tensors["output"], rtol=1e-4, atol=1e-5)


def test_every_model_has_a_golden_file() -> None:
    assert {folder.name.rsplit("-", 1)[0] for folder in GOLDEN.iterdir()} == set(MODELS)


def test_models_of_a_later_format_are_refused() -> None:
    with pytest.raises(DataError, match="format version 2"):
        WSKANConfig(widths=(2, 1), edge_dim=3, out_dim=1, format_version=2)


if __name__ == "__main__":
    for name, (_, config) in MODELS.items():
        if (GOLDEN / f"{name}-v1").exists():  # older ones stay what they were
            continue
        torch.manual_seed(0)
        graph = kan_graph(random_population((2, 4, 1), 3, 0), FeatureConfig(form="raw", knots=True))
        shape = {"widths": (2, 4, 1), "edge_dim": 9, "node_dim": 5, "out_dim": 2, "hidden": 8, "num_layers": 2}
        evaluated = {"grid": 4} if issubclass(config, OutputsConfig) else {}
        model = build_model(config(model=name, **shape, **evaluated)).eval()
        target = GOLDEN / f"{name}-v{model.config.format_version}"
        save_model(model, target)
        (target / "README.md").unlink()
        example = {
            f"{field}.{i}": tensor.contiguous()
            for field in ("edges", "nodes", "edge_mask")
            for i, tensor in enumerate(getattr(graph, field))
        }
        save_file({"output": model(graph).detach(), **example}, target / "example.safetensors")
