"""Align KANs (paper, appendix D): weight matching, MergeMany, aligned zoos, averages and interpolation."""

from wskan.align.aligned_zoo import AlignedZoo, align_zoo
from wskan.align.average import average
from wskan.align.interpolate import interpolate, interpolation_loss
from wskan.align.merge_many import MergeResult, merge_many
from wskan.align.weight_matching import MatchingResult, weight_matching

__all__ = [
    "AlignedZoo",
    "MatchingResult",
    "MergeResult",
    "align_zoo",
    "average",
    "interpolate",
    "interpolation_loss",
    "merge_many",
    "weight_matching",
]
