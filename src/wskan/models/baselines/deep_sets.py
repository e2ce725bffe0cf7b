"""DeepSets over the edges (paper, section 5; Zaheer et al., "Deep Sets", 2017)."""

import dataclasses

from torch import Tensor, nn

from wskan.models.base import register_model
from wskan.models.baselines.edge_set import EdgeSetNetwork
from wskan.models.config import ModelConfig
from wskan.models.ops.edge_linear import EdgeLinear
from wskan.models.ops.edge_mlp import edge_mlp, mean_of_layer_norm
from wskan.models.ops.layers import MLP, Dropout, LayerNorm


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeepSetsConfig(ModelConfig):
    """The configuration of :class:`DeepSets`; see :class:`wskan.models.ModelConfig`."""

    model: str = "deep_sets"


class DeepSetsLayer(nn.Module):
    """The residual block ``x_i + second(act(first(x_i) + context(mean_j x_j)))``.

    It contains the equivariant layer of Deep Sets (eq. 4 there) with a mean as its pooling.
    """

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = LayerNorm(hidden)
        self.mlp = MLP(hidden, hidden, hidden)
        self.context = nn.Linear(hidden, hidden, bias=False)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, edge_mask: Tensor | None) -> Tensor:
        """Map states ``[B, E, h]`` to new states, given which edges exist, ``[B, E]`` bool or None."""
        mean, x = mean_of_layer_norm(x, self.norm, edge_mask)
        context = self.mlp.first.bias + self.context(mean)  # [B, h]
        first = EdgeLinear(self.mlp.first.weight, context.unsqueeze(1), None)
        new = edge_mlp(x.unsqueeze(1), self.norm, first, self.mlp.second, dropout=self.dropout, residual=True)
        return new.squeeze(1)


@register_model("deep_sets", DeepSetsConfig)
class DeepSets(EdgeSetNetwork):
    """DeepSets over edges: each edge reads itself and the mean over all edges.

    It ignores the topology, as the ablation of the paper.
    """

    def __init__(self, config: DeepSetsConfig) -> None:
        super().__init__(config, [DeepSetsLayer(config.hidden, config.dropout) for _ in range(config.num_layers)])
