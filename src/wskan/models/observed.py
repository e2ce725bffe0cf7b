"""KAN-graphs of what a KAN does, in place of its parameters."""

import dataclasses

from torch import Tensor

from wskan.graph import KANGraph
from wskan.graph.probes import OBSERVED
from wskan.models.evaluating import EvaluatingConfig, responses_of


def observed(graph: KANGraph, config: EvaluatingConfig, x: Tensor) -> KANGraph:
    """Describe a node by its activations at P inputs, and an edge by phi_{p,q}(x_p) at the first 24 of them.

    Inputs of the KAN have zeros. Gradients pass to ``x``. Neither scale nor the parametrisation of a function shows;
    shift and sign do, since edges and neurons inside then do other things.

    Args:
        graph: B graphs of form raw with knots.
        config: says which KANs they are.
        x: ``[P, in]``.

    Raises:
        ShapeError: graphs of other features, or of other numbers of inputs or outputs.
        DivergedError: x is not finite.
    """
    found = responses_of(graph, config, x, min(OBSERVED, len(x)))
    like = graph.edges[0]
    first = like.new_zeros(len(graph), graph.widths[0], len(x))
    return dataclasses.replace(
        graph,
        edges=tuple(edges.to(like) for edges in found.edges),
        nodes=(first, *(nodes.to(like) for nodes in found.nodes)),
    )
