import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from same_function import RAW, WIDTHS

from wskan.errors import DataError
from wskan.graph import EVALUABLE, kan_graph
from wskan.kan import FitConfig, KANSpec
from wskan.models import ImageCNN, ImageCNNConfig
from wskan.models.baselines.image_cnn import moved
from wskan.signals import coordinates
from wskan.testing import random_population
from wskan.zoo import build_zoo, get_recipe, open_zoo
from wskan.zoo.reconstruct import reconstruct


def make(**config: Any) -> ImageCNN:
    torch.manual_seed(0)
    return ImageCNN(ImageCNNConfig(**{**RAW, "side": 8, **config}))


def test_it_sees_the_image_that_a_kan_of_a_zoo_represents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, fit = KANSpec(widths=(2, 6, 1), grid=4), FitConfig(steps=30)
    recipe = dataclasses.replace(get_recipe("digits-inr"), spec=spec, fit=fit, train=4, val=1, test=1)
    build_zoo(recipe, tmp_path / "zoo")
    zoo = open_zoo(tmp_path / "zoo")
    rows = torch.arange(5)
    graph = kan_graph(zoo.population(rows), EVALUABLE)
    _, images = reconstruct(zoo, rows)  # [5, H, W, C]
    shape = {"widths": zoo.spec.widths, "edge_dim": graph.edge_dim, "node_dim": graph.node_dim}
    model = make(**shape, side=images.shape[1], **ImageCNNConfig.fields_of(zoo.spec)).eval()
    seen = []
    monkeypatch.setattr(model.network, "forward", lambda image: seen.append(image) or torch.zeros(5, 16, 1, 1))
    model.norm = torch.nn.Identity()  # type: ignore[assignment]
    model(graph)
    torch.testing.assert_close(seen[0].permute(0, 2, 3, 1), images, rtol=1e-3, atol=1e-4)


def test_images_move_in_training_only_and_as_far_as_asked() -> None:
    graph = kan_graph(random_population(WIDTHS, 3, 0), EVALUABLE)
    model = make(dropout=0.0)
    assert not torch.equal(model(graph), model(graph))
    model.eval()
    assert torch.equal(model(graph), model(graph))
    still = make(affine=0.0).train()
    assert still.inputs(3) is still.lattice


def test_maps_are_affine_bounded_and_different_for_each_kan() -> None:
    torch.manual_seed(0)
    inner = 0.5 * coordinates(5, 5)  # none is clamped
    places = moved(inner, 400, 0.2, False)
    centre = places[:, 12]
    assert 0.18 < float(centre.abs().max()) <= 0.2
    axes = (places[:, [14, 22]] - centre.unsqueeze(1)) / 0.5  # where unit steps along columns and rows go
    scale = axes.norm(dim=-1)
    torch.testing.assert_close(scale[:, 0], scale[:, 1])
    assert 0.18 < float(scale.log().abs().max()) <= 0.2 + 1e-5
    angle = torch.atan2(axes[:, 0, 0], axes[:, 0, 1]).abs()
    assert 0.32 < float(angle.max()) <= 0.35 + 1e-5
    torch.testing.assert_close((axes[:, 0] * axes[:, 1]).sum(-1), torch.zeros(400), rtol=0, atol=1e-5)
    torch.testing.assert_close(places[:, 0] + places[:, 24], 2 * centre)
    assert len(centre.unique(dim=0)) == 400
    assert float(moved(coordinates(5, 5), 400, 0.2, False).abs().max()) == 1


def test_half_of_the_images_are_mirrored_left_to_right() -> None:
    torch.manual_seed(0)
    points = coordinates(4, 4)
    places = moved(points, 300, 0.0, True)
    flipped = (places == points * torch.tensor([1.0, -1.0])).flatten(1).all(1)
    assert bool(((places == points).flatten(1).all(1) ^ flipped).all())
    assert 110 < int(flipped.sum()) < 190


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        ({"widths": (3, 5, 1)}, "two inputs"),
        ({"side": 3}, "side"),
        ({"side": 10**6}, "side"),
        ({"affine": -0.1}, "affine"),
        ({"affine": "wide"}, "affine"),
        ({"mirror": 1}, "mirror"),
    ],
)
def test_bad_configurations_are_refused(bad: dict[str, Any], match: str) -> None:
    with pytest.raises(DataError, match=match):
        make(**bad)


@pytest.mark.parametrize("layers", [1, 2, 3, 4, 7])
def test_any_number_of_convolutions_ends_in_all_channels(layers: int) -> None:
    model = make(num_layers=layers)
    convolutions = [module for module in model.network if isinstance(module, torch.nn.Conv2d)]
    assert len(convolutions) == layers
    assert convolutions[-1].out_channels == 16
    assert model(kan_graph(random_population(WIDTHS, 2, 0), EVALUABLE)).shape == (2, 3)
