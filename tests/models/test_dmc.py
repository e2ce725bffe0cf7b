from typing import Any

import pytest
import torch
from torch import nn

from wskan.errors import ShapeError
from wskan.graph import FeatureConfig, kan_graph
from wskan.models import DMC, DMCConfig
from wskan.models.baselines.dmc import POSITIONS
from wskan.testing import ModelConformance, random_population

RAW = FeatureConfig(form="raw")


class TestDMC(ModelConformance):
    invariant = any_width = False

    def build(self, **config: Any) -> DMC:
        return DMC(DMCConfig(**config))


def test_other_widths_are_refused() -> None:
    model = DMC(DMCConfig(widths=(2, 5, 1), edge_dim=9, out_dim=2))
    with pytest.raises(ShapeError, match="widths"):
        model(kan_graph(random_population((2, 6, 1), 2, 0), RAW))


@pytest.mark.parametrize("layers", [1, 4])
@pytest.mark.parametrize("readout", ["graph", "edge"])
@pytest.mark.parametrize(("widths", "edge_dim"), [((2, 1), 1), ((2, 8, 8, 1), 10), ((784, 32, 32, 10), 10)])
def test_few_positions_and_parameters_whatever_the_size(
    widths: tuple[int, ...], edge_dim: int, readout: str, layers: int
) -> None:
    with torch.device("meta"):
        model = DMC(
            DMCConfig(
                widths=widths, edge_dim=edge_dim, out_dim=2, hidden=32, num_layers=layers, readout=readout, dropout=0
            )
        )
        convolutions = nn.Sequential(*list(model.network)[:-2])
        positions = convolutions(torch.empty(3, model.in_size)).shape[-1]
        assert model.network(torch.empty(3, model.in_size)).shape == (3, model.out_size)
    assert 1 <= positions <= POSITIONS
    assert model.num_parameters < 2_000_000 + 33 * model.out_size


def test_every_parameter_of_the_kan_counts() -> None:
    torch.manual_seed(0)
    model = DMC(DMCConfig(widths=(2, 7, 3, 1), edge_dim=11, node_dim=2, out_dim=2, hidden=8, num_layers=3)).eval()
    flat = torch.randn(1, model.in_size, requires_grad=True)
    model.network(flat).square().sum().backward()
    assert bool((flat.grad != 0).all())
