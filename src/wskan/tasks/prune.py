"""Pruning KANs without data, by a model that was trained for it."""

from __future__ import annotations

import torch

from wskan.errors import DataError
from wskan.graph import kan_graph
from wskan.kan import Population
from wskan.kan.edges import split_edges
from wskan.tasks.evaluation import graphs_at_once, predict
from wskan.tasks.pruning_mask import PruningMask
from wskan.tasks.run import Run


def prune(run: Run, population: Population) -> Population:
    """The KANs without the edges that a run for pruning masks would leave out (paper, section 5.3), at the threshold that was chosen on its validation KANs.

    No data is needed: one forward pass of the run's model on the KAN-graphs.

    Args:
        run: of the task ``"pruning-mask"``.
        population: K KANs like those that the model was trained on; one of pykan's comes from :func:`wskan.kan.from_pykan`.

    Raises:
        DataError: a run of another task, KANs that are not finite, or whose features mean something else than those that the run knows.
        ShapeError: KANs that the model cannot take.
    """
    if not isinstance(run.task, PruningMask):
        raise DataError(f"the run in {run.folder} was trained for {run.task.name}, not for {PruningMask.name}")
    run.check(population.spec)
    if not bool((finite := population.is_finite()).all()):
        raise DataError(f"KANs {(~finite).nonzero().squeeze(1).tolist()[:5]} are not finite")
    step = graphs_at_once(population.spec)
    parts = [population[begin : begin + step] for begin in range(0, len(population), step)]
    logits, _ = predict(run.model, ((kan_graph(part, run.features), torch.empty(len(part))) for part in parts))
    return population.prune(split_edges(run.task.keep(logits), population.spec.widths))
