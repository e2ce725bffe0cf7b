"""Replace the parameters in KAN-graphs by activations."""

import dataclasses

from torch import Tensor

from wskan.graph import KANGraph
from wskan.graph.probes import OBSERVED
from wskan.models.evaluating import EvaluatingConfig, responses_of


def observed(graph: KANGraph, config: EvaluatingConfig, x: Tensor) -> KANGraph:
    """Describe each node by its activations at P inputs, and each edge by phi_{p,q}(x_p) at the first 24 of them.

    Input nodes have zeros. Gradients pass to ``x``. These features do not depend on scales or the parametrisation of a
    function. They depend on shifts and signs, which change the values inside a KAN.

    Args:
        graph: B graphs of form raw with knots.
        config: configuration with the specification of the KANs.
        x: ``[P, in]``.

    Raises:
        ShapeError: The graphs have other features, or other numbers of inputs or outputs.
        DivergedError: x is not finite.
    """
    probed = responses_of(graph, config, x, min(OBSERVED, len(x)))
    like = graph.edges[0]
    first = like.new_zeros(len(graph), graph.widths[0], len(x))
    return dataclasses.replace(
        graph,
        edges=tuple(edges.to(like) for edges in probed.edges),
        nodes=(first, *(nodes.to(like) for nodes in probed.nodes)),
    )
