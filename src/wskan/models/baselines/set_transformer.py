"""A transformer over edges (paper, section 5; Vaswani et al., 2017; Lee et al., "Set Transformer", 2019)."""

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wskan.errors import DataError
from wskan.models.base import register_model
from wskan.models.baselines.edge_set import EdgeSetNetwork
from wskan.models.config import MAX_HIDDEN, ModelConfig, check_whole
from wskan.models.ops.layers import MLP, Dropout, LayerNorm


@dataclasses.dataclass(frozen=True, kw_only=True)
class SetTransformerConfig(ModelConfig):
    """The configuration of :class:`SetTransformer`; see :class:`wskan.models.ModelConfig` for common options.

    Args:
        heads: number of attention heads, which must divide ``hidden``.
        inducing: number of inducing points (Lee et al.), whose cost is linear in the number of edges; 0 for attention
            between all edges, as in the paper.

    Raises:
        DataError: A value is out of range, or ``heads`` does not divide ``hidden``.
    """

    model: str = "set_transformer"
    heads: int = 4
    inducing: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("heads", self.heads, 1, MAX_HIDDEN)
        check_whole("inducing", self.inducing, 0, MAX_HIDDEN)
        if self.hidden % self.heads:
            raise DataError(f"model configuration: hidden {self.hidden} cannot be divided among {self.heads} heads")


class AttentionBlock(nn.Module):
    """Multi-head attention and an MLP, each with normalisation before it and a residual connection (Lee et al.'s MAB).

    Queries and keys share a normalisation. Its weights could be absorbed into the projections, which are separate.
    Attention weights have no dropout, because no fused kernel for CPUs supports it.
    """

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.mlp_norm = LayerNorm(hidden), LayerNorm(hidden)
        self.query, self.key_value = nn.Linear(hidden, hidden), nn.Linear(hidden, 2 * hidden)
        self.project = nn.Linear(hidden, hidden)
        self.mlp = MLP(hidden, 2 * hidden, hidden)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, y: Tensor, mask: Tensor | None) -> Tensor:
        """Update each x by attention to all y.

        Args:
            x: ``[B, n, h]``.
            y: ``[B, m, h]``; x itself for self-attention.
            mask: which y exist, ``[B, 1, 1, m]`` bool, or None.

        Returns:
            ``[B, n, h]``.
        """
        queries = self.norm(x)
        keys = queries if y is x else self.norm(y)
        q, k, v = (
            t.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, heads, n or m, h / heads]
            for t in (self.query(queries), *self.key_value(keys).chunk(2, -1))
        )
        attended = (F.scaled_dot_product_attention if y is x else _attention)(q, k, v, attn_mask=mask)
        x = x + self.dropout(self.project(attended.transpose(1, 2).flatten(2)))
        new: Tensor = self.dropout(self.mlp(self.mlp_norm(x)))
        return x + new


def _attention(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None) -> Tensor:
    """Compute attention without the fused kernel: with few queries or keys, that halves the time on CPUs."""
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    out: Tensor = scores.softmax(-1) @ v
    return out


class SetTransformerLayer(nn.Module):
    """A layer in which all edges attend to all edges (SAB), or to m points that have attended to all edges (ISAB)."""

    def __init__(self, hidden: int, heads: int, inducing: int, dropout: float) -> None:
        super().__init__()
        self.block = AttentionBlock(hidden, heads, dropout)
        self.points = self.summary = None
        if inducing:
            self.points = nn.Parameter(nn.init.xavier_uniform_(torch.empty(inducing, hidden)))
            self.summary = AttentionBlock(hidden, heads, dropout)

    def forward(self, x: Tensor, edge_mask: Tensor | None) -> Tensor:
        """Map states ``[B, E, h]`` to new states, given which edges exist, ``[B, E]`` bool or None."""
        mask = None
        if edge_mask is not None:
            # In a graph without edges, attend to all: attention to nothing is not defined.
            mask = (edge_mask | ~edge_mask.any(1, keepdim=True))[:, None, None]
        if self.points is None or self.summary is None:
            return self.block(x, x, mask)  # type: ignore[no-any-return]
        points = self.points.to(x.dtype).expand(len(x), -1, -1)
        return self.block(x, self.summary(points, x, mask), None)  # type: ignore[no-any-return]


@register_model("set_transformer", SetTransformerConfig)
class SetTransformer(EdgeSetNetwork):
    """Transformer blocks with edges as tokens. It ignores the topology, as the ablation of the paper.

    Attention between all edges runs in the fused kernel of PyTorch. Memory is then linear in the number of edges, while
    time is quadratic without inducing points. This was checked on CPUs in single precision and under bf16 autocast,
    with and without masks (``tests/models/test_set_transformer.py``).
    """

    def __init__(self, config: SetTransformerConfig) -> None:
        layers = [
            SetTransformerLayer(config.hidden, config.heads, config.inducing, config.dropout)
            for _ in range(config.num_layers)
        ]
        super().__init__(config, layers)
