"""Which edges can go? The mask of a pruning oracle, without data."""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor

from wskan.kan.edges import flatten_edges
from wskan.tasks.pruning import Pruning
from wskan.tasks.task import ABSENT
from wskan.zoo import Zoo


@dataclasses.dataclass(frozen=True)
class PruningMask(Pruning):
    """Tell which edges of a classifier the oracle keeps (paper, section 5.3): binary cross-entropy; ROC-AUC and accuracy in percent, over all edges of all KANs.

    Args:
        threshold: an edge is kept if its logit is higher; chosen to give the highest accuracy on the validation split
            (C.3.2). Accuracies of a learning curve, before it is chosen, are those at 0, a probability of one half.

    Raises:
        DataError: a threshold that is no finite number.
    """

    name = "pruning-mask"

    def targets(self, zoo: Zoo, rows: Tensor | slice = slice(None)) -> Tensor:
        """1 for an edge to keep, 0 for one to prune, ``[n, E]`` int8."""
        return flatten_edges(zoo.masks(rows)).to(torch.int8)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        exist = target != ABSENT  # as weights: picking edges out takes five times as long
        total = F.binary_cross_entropy_with_logits(output, target.to(output), exist.to(output), reduction="sum")
        return total / exist.sum().clamp_min(1)

    def decode(self, output: Tensor) -> Tensor:
        """Logits; the higher, the more they speak for keeping the edge."""
        return output

    def kept(self, target: Tensor) -> Tensor:
        return target

    def fits(self, zoo: Zoo) -> bool:
        return zoo.has_masks

    def check(self, zoo: Zoo) -> None:
        """Refuse a zoo without masks.

        Raises:
            DataError: saying what to do.
        """
        zoo.check_masks()
