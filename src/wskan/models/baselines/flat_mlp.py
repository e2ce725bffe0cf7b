"""The simplest baseline: an MLP on the flattened parameters (paper, section 5)."""

import dataclasses
import itertools

from torch import nn

from wskan.models.base import register_model
from wskan.models.baselines.flat import FlatNetwork
from wskan.models.config import ModelConfig
from wskan.models.ops.layers import Dropout


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlatMLPConfig(ModelConfig):
    """The configuration of :class:`FlatMLP`; see :class:`wskan.models.ModelConfig`."""

    model: str = "mlp"


@register_model("mlp", FlatMLPConfig)
class FlatMLP(FlatNetwork):
    """An MLP on the concatenated features of all edges and nodes. It has no invariance.

    Raises:
        ShapeError: The widths of the graphs differ from ``config.widths``, or the graphs are padded.
    """

    def __init__(self, config: FlatMLPConfig) -> None:
        super().__init__(config)
        self.network = build_mlp(config, self.in_size, self.out_size)


def build_mlp(config: ModelConfig, in_size: int, out_size: int) -> nn.Sequential:
    """Build an MLP of ``num_layers`` linear layers with ReLU and dropout; ``[B, in_size]`` to ``[B, out_size]``."""
    widths = [in_size, *(config.hidden for _ in range(config.num_layers - 1)), out_size]
    blocks: list[nn.Module] = []
    for index, (n, m) in enumerate(itertools.pairwise(widths)):
        blocks.append(nn.Linear(n, m))
        if index < config.num_layers - 1:
            blocks += [nn.ReLU(), Dropout(config.dropout)]
    return nn.Sequential(*blocks)
