"""The simplest baseline: a perceptron on the flattened parameters (paper, section 5)."""

import dataclasses
import itertools

from torch import nn

from wskan.models.base import register_model
from wskan.models.baselines.flat import FlatNetwork
from wskan.models.config import ModelConfig
from wskan.models.ops.layers import Dropout


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlatMLPConfig(ModelConfig):
    """Configuration of :class:`FlatMLP`; see :class:`wskan.models.ModelConfig`."""

    model: str = "mlp"


@register_model("mlp", FlatMLPConfig)
class FlatMLP(FlatNetwork):
    """A multilayer perceptron on all features of all edges and nodes, one after the other. Not invariant to anything.

    Raises:
        ShapeError: graphs of other widths than ``config.widths``, or filled-up ones.
    """

    def __init__(self, config: FlatMLPConfig) -> None:
        super().__init__(config)
        self.network = perceptron(config, self.in_size, self.out_size)


def perceptron(config: ModelConfig, in_size: int, out_size: int) -> nn.Sequential:
    """``num_layers`` linear layers with ReLU and dropout between them, from ``[B, in_size]`` to ``[B, out_size]``."""
    widths = [in_size, *(config.hidden for _ in range(config.num_layers - 1)), out_size]
    blocks: list[nn.Module] = []
    for index, (n, m) in enumerate(itertools.pairwise(widths)):
        blocks.append(nn.Linear(n, m))
        if index < config.num_layers - 1:
            blocks += [nn.ReLU(), Dropout(config.dropout)]
    return nn.Sequential(*blocks)
