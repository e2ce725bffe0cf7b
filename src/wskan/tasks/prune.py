"""Pruning KANs without data, by a model that was trained for it."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from wskan.errors import DataError
from wskan.kan import Population
from wskan.kan.edges import flatten_edges, unflatten_edges
from wskan.tasks.config import Precision
from wskan.tasks.pruning import Pruning
from wskan.tasks.run import Run


def prune(run: Run, population: Population, *, share: float | None = None, precision: Precision = "32") -> Population:
    """The KANs without the edges that a run for pruning masks or scores would leave out (paper, section 5.3).

    No data is needed: one forward pass of the run's model on the KAN-graphs.

    It warns of KANs with outputs that no path of edges joins to an input any more: these say the same of every input.

    Args:
        run: of the task ``"pruning-mask"`` or ``"pruning-scores"``.
        population: K KANs like those that the model was trained on; one of pykan's comes from
            :func:`wskan.kan.from_pykan`.
        share: of the edges that each KAN has, how many stay, in [0, 1]: those that the model would rather keep, or
            scores highest. If not given, edges stay whose score is above the threshold that was chosen on the run's
            validation KANs, for the highest agreement with the oracle.
        precision: of the model, see :meth:`wskan.tasks.Run.predict`.

    Raises:
        DataError: a run of another task, a share that is none, or see :meth:`wskan.tasks.Run.predict`.
        ShapeError: see there.
    """
    if not isinstance(run.task, Pruning):
        raise DataError(
            f"the run in {run.folder} was trained for {run.task.name}, not for pruning: "
            "`wskan train --task pruning-mask` or `--task pruning-scores`"
        )
    if share is not None and not 0 <= share <= 1:
        raise DataError(f"share must be in [0, 1], got {share}")
    score = run.predict(population, precision=precision)
    keep = run.task.keep(score) if share is None else _best(score, population, share)
    pruned = population.prune(unflatten_edges(keep, population.spec.widths))
    cut = _reached(population) & ~_reached(pruned)  # [K, out]
    if lost := cut.any(1).nonzero().squeeze(1).tolist():
        warnings.warn(
            f"{len(lost)} of {len(pruned)} KANs have outputs that are constant now, {int(cut.sum()) / len(lost):.1f} of {cut.shape[1]} on average: KANs {lost[:5]}{' ...' if len(lost) > 5 else ''}; keep more of their edges, with share",
            stacklevel=2,
        )
    return pruned


def _best(score: Tensor, population: Population, share: float) -> Tensor:
    """The edges of each KAN that exist and score most, ``[K, E]``."""
    exist = flatten_edges([layer.mask != 0 for layer in population.layers]).to(score.device)
    order = score.masked_fill(~exist, -torch.inf).argsort(dim=1, descending=True, stable=True)
    rank: Tensor = order.argsort(1)
    return rank.lt((share * exist.sum(1, keepdim=True)).round())


def _reached(population: Population) -> Tensor:
    """Which outputs a path of edges leads to from an input, ``[K, out]``."""
    exists = [layer.mask != 0 for layer in population.layers]
    reached = torch.ones_like(exists[0][:, :, 0])
    for edges in exists:
        reached = (reached.unsqueeze(-1) & edges).any(1)
    return reached
