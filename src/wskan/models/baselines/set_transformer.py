"""A transformer over the edges (paper, section 5; Vaswani et al., 2017; Lee et al., "Set Transformer", 2019)."""

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
    """Configuration of :class:`SetTransformer`; see :class:`wskan.models.ModelConfig` for what all models share.

    Args:
        heads: attention heads; they divide ``hidden``.
        inducing: 0 for attention between all edges, as in the paper; m for Lee et al.'s m inducing points, whose cost is linear in the edges.

    Raises:
        DataError: a value is out of range, or ``heads`` does not divide ``hidden``.
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
    """Multi-head attention and a perceptron, each normalised before and with a residual connection: Lee et al.'s MAB.

    One normalisation serves queries and keys: its weights could as well be part of the projections, which are apart. There is no dropout of attention weights:
    no fused kernel for CPUs has it.
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
        """What each x makes of all y.

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
        found = (F.scaled_dot_product_attention if y is x else _attention)(q, k, v, attn_mask=mask)
        x = x + self.dropout(self.project(found.transpose(1, 2).flatten(2)))
        new: Tensor = self.dropout(self.mlp(self.mlp_norm(x)))
        return x + new


def _attention(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None) -> Tensor:
    """Attention word for word, for few queries or few keys: its weights are then few, and on CPUs it takes half of the time of the fused kernel."""
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    out: Tensor = scores.softmax(-1) @ v
    return out


class SetTransformerLayer(nn.Module):
    """All edges attend to all edges (SAB), or to m points that have attended to all edges (ISAB)."""

    def __init__(self, hidden: int, heads: int, inducing: int, dropout: float) -> None:
        super().__init__()
        self.block = AttentionBlock(hidden, heads, dropout)
        self.points = self.summary = None
        if inducing:
            self.points = nn.Parameter(nn.init.xavier_uniform_(torch.empty(inducing, hidden)))
            self.summary = AttentionBlock(hidden, heads, dropout)

    def forward(self, x: Tensor, exist: Tensor | None) -> Tensor:
        """``[B, E, h]`` and which edges exist, ``[B, E]`` or None, to ``[B, E, h]``."""
        mask = None
        if exist is not None:
            # A graph without any edge attends to all: what a kernel makes of nothing is up to the kernel.
            mask = (exist | ~exist.any(1, keepdim=True))[:, None, None]
        if self.points is None or self.summary is None:
            return self.block(x, x, mask)  # type: ignore[no-any-return]
        points = self.points.to(x.dtype).expand(len(x), -1, -1)
        return self.block(x, self.summary(points, x, mask), None)  # type: ignore[no-any-return]


@register_model("set_transformer", SetTransformerConfig)
class SetTransformer(EdgeSetNetwork):
    """Transformer blocks on edges as tokens. Knows nothing of the topology: the paper's ablation of it.

    Attention between all edges runs in the fused kernel of PyTorch, so memory grows with the edges and not with their square; time does, unless there are inducing points.
    On the CPU that was checked in single precision and under bf16 autocast, with masks and without (``tests/models/test_set_transformer.py``).
    """

    def __init__(self, config: SetTransformerConfig) -> None:
        layers = [
            SetTransformerLayer(config.hidden, config.heads, config.inducing, config.dropout)
            for _ in range(config.num_layers)
        ]
        super().__init__(config, layers)
