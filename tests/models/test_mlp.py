from typing import Any

import pytest

from wskan.errors import ShapeError
from wskan.graph import FeatureConfig, kan_graph
from wskan.models import FlatMLP, FlatMLPConfig
from wskan.testing import ModelConformance, random_population

RAW = FeatureConfig(form="raw")


class TestFlatMLP(ModelConformance):
    invariant = any_width = False

    def build(self, **config: Any) -> FlatMLP:
        return FlatMLP(FlatMLPConfig(**config))


def test_other_widths_are_refused() -> None:
    model = FlatMLP(FlatMLPConfig(widths=(2, 5, 1), edge_dim=9, out_dim=2))
    with pytest.raises(ShapeError, match="widths"):
        model(kan_graph(random_population((2, 6, 1), 2, 0), RAW))
