"""The MLP of Lemma 4.1, which represents all edge functions of a family of KANs."""

import torch
from torch import Tensor, nn

from wskan.errors import DataError
from wskan.models.ops.layers import activation


class UnivariateMLP(nn.Module):
    """MLP_univariate of Lemma 4.1: one MLP for all edge functions, with SiLU between its layers.

    Args:
        edge_dim: number F of features per edge: its parameters [w_b, w_s, c] (eq. 5).
        width: width of its hidden layers.
        depth: number D of its hidden layers, at least one.

    Raises:
        DataError: A size is below one.
    """

    def __init__(self, edge_dim: int, width: int, depth: int) -> None:
        if min(edge_dim, width, depth) < 1:
            raise DataError(f"edge_dim, width and depth must be at least 1, got {edge_dim}, {width}, {depth}")
        super().__init__()
        sizes = [1 + edge_dim, *[width] * depth]
        self.hidden = nn.ModuleList(map(nn.Linear, sizes[:-1], sizes[1:]))
        self.out = nn.Linear(width, 1)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """Return ``psi(x, e)``, ``[...]``, for x ``[...]`` and e ``[..., F]``."""
        state = torch.cat([x.unsqueeze(-1), edges], -1)
        for layer in self.hidden:
            state = activation(layer(state))
        out: Tensor = self.out(state).squeeze(-1)
        return out

    @property
    def linears(self) -> list[nn.Linear]:
        """Return the hidden layers."""
        return [layer for layer in self.hidden if isinstance(layer, nn.Linear)]

    @property
    def edge_dim(self) -> int:
        """Return the number F of features per edge."""
        return self.linears[0].in_features - 1

    @property
    def width(self) -> int:
        """Return the width of the hidden layers."""
        return self.out.in_features

    @property
    def depth(self) -> int:
        """Return the number D of hidden layers."""
        return len(self.hidden)
