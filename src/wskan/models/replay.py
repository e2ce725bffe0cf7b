"""A WS-KAN whose weights are written down: it replays the forward pass of any KAN of a family (paper, section 4; proofs in appendix E).

Lemma 4.1 gives a perceptron, :class:`UnivariateMLP`, that stands for every edge function: ``psi(x, e)`` with e = [w_b, w_s, c] (eq. 5). Proposition 4.2 puts its weights into
WS-KAN (eqs. 11 to 14), which then computes ``a_q <- sum_p psi(a_p, e_pq)`` in all layers at once: after l steps the neurons of the first l layers are right, and stay so.
:func:`replay_model` is that construction for the WS-KAN of this package as it stands, which has three things that the proof does not:

- *Residual connections.* An update writes differences: MLP_v^(3) gives the sum less the activation. A linear map passes a two-layer perceptron unchanged through pairs of
  units, since ``silu(z) - silu(-z) = z``.
- *Layer normalisation.* A number a stands in the state of a node as the pair (a, -a), which has mean 0, beside a pair of constants (C, -C). So the standard deviation is
  ``C sqrt(2/h)`` up to a share of (a/C)^2, and normalisation with this as its weight is the identity.
- *A perceptron of one hidden layer on an edge*, where ``psi`` may have D. Then a step takes D rounds: in all but the last, MLP_e writes the next hidden layer into the state of the edge. In
  the last one the message reads it, and MLP_e, of states that have not changed since, takes back what it had written. With D = 1, MLP_e is 0, as in eq. 14.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wskan.errors import DataError, ShapeError
from wskan.graph import KANGraph
from wskan.models.ops.edge_messages_cpp import LANES
from wskan.models.ops.layers import MLP, activation
from wskan.models.ws_kan import WSKAN, WSKANLayer
from wskan.models.ws_kan_config import WSKANConfig

GATE = 40.0  # silu(z - 40) is zero in single precision for z of the size of activations

CONSTANT, INPUT, ACTIVATION, OUTPUTS = 0, 2, 4, 6
"""Where the pairs stand in the state of a node: C; what the KAN is given, at inputs; what was computed, elsewhere; then for each output a mark of its node, and its result."""


class UnivariateMLP(nn.Module):
    """MLP_univariate of Lemma 4.1: one perceptron for all edge functions, SiLU between its layers.

    Args:
        edge_dim: number F of features of an edge: its parameters [w_b, w_s, c] (eq. 5).
        width: of its hidden layers.
        depth: number D of them, at least one.

    Raises:
        DataError: sizes below one.
    """

    def __init__(self, edge_dim: int, width: int, depth: int) -> None:
        if min(edge_dim, width, depth) < 1:
            raise DataError(f"edge_dim, width and depth must be at least 1, got {edge_dim}, {width}, {depth}")
        super().__init__()
        sizes = [1 + edge_dim, *[width] * depth]
        self.hidden = nn.ModuleList(map(nn.Linear, sizes[:-1], sizes[1:]))
        self.out = nn.Linear(width, 1)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """``psi(x, e)`` of x ``[...]`` and e ``[..., F]``, ``[...]``."""
        state = torch.cat([x.unsqueeze(-1), edges], -1)
        for layer in self.hidden:
            state = activation(layer(state))
        out: Tensor = self.out(state).squeeze(-1)
        return out

    @property
    def linears(self) -> list[nn.Linear]:
        """Of the hidden layers."""
        return [layer for layer in self.hidden if isinstance(layer, nn.Linear)]

    @property
    def edge_dim(self) -> int:
        """Number F of features of an edge."""
        return self.linears[0].in_features - 1

    @property
    def width(self) -> int:
        """Of the hidden layers."""
        return self.out.in_features

    @property
    def depth(self) -> int:
        """Number D of hidden layers."""
        return len(self.hidden)


def with_inputs(graph: KANGraph, x: Tensor) -> KANGraph:
    """KAN-graphs "where the nodes in the first layer are enhanced with the input x" (Proposition 4.2); all other nodes have 0.

    Args:
        graph: B graphs.
        x: ``[B, n_0]``.

    Raises:
        ShapeError: x has another shape.
    """
    if tuple(x.shape) != (len(graph), graph.widths[0]):
        raise ShapeError(f"x has shape {tuple(x.shape)}, the graphs need {(len(graph), graph.widths[0])}")
    others = (x.new_zeros(len(graph), width, 1) for width in graph.widths[1:])
    return dataclasses.replace(graph, nodes=(x.unsqueeze(-1), *others))


@torch.no_grad()
def replay_model(psi: UnivariateMLP, widths: Sequence[int]) -> WSKAN:
    """The WS-KAN of Proposition 4.2, in evaluation mode and in the precision of ``psi``.

    It maps a KAN-graph with its input (:func:`with_inputs`) to the output of the KAN in which ``psi`` stands for every edge function, ``[B, n_L]``, up to rounding and a share (a/C)^2 of activations a, where C is about 200 in single precision (165,000 in
    double): for activations of the size of 1, and well below the GATE of 40. The read-out takes
    the mean over output nodes, so each of them leaves its result in a place of its own, and the head multiplies by their number.

    Args:
        psi: the perceptron for all edges.
        widths: of the KANs, inputs first. Hidden widths do not matter: it replays KANs of any, and with masked edges.

    Returns:
        A model of ``L * D`` rounds and hidden dimension ``F + (D - 1) * width``, or a little more.

    Raises:
        DataError: that is more than a model may have (:class:`wskan.models.ModelConfig`).
    """
    outputs, steps = widths[-1], len(widths) - 1
    hidden = max(psi.edge_dim + (psi.depth - 1) * psi.width, psi.width, OUTPUTS + 4 * outputs)
    hidden = -(-hidden // LANES) * LANES  # for the C++ kernel
    config = WSKANConfig(
        widths=tuple(widths), edge_dim=psi.edge_dim, node_dim=1, out_dim=outputs, hidden=hidden, num_layers=steps * psi.depth, dropout=0.0
    )  # fmt: skip
    model = WSKAN(config).to(psi.out.weight.dtype)
    for parameter in model.parameters():
        parameter.zero_()  # eq. 14, and all that is not said below
    constant = torch.finfo(psi.out.weight.dtype).eps ** (-1 / 3)  # balances (a/C)^2 with the rounding of C
    _embed(model, constant)
    for index, layer in enumerate(model.layers):
        assert isinstance(layer, WSKANLayer)
        layer.node_norm.weight.fill_(math.sqrt(2 * constant**2 / hidden + layer.node_norm.eps))
        held = index % psi.depth  # how many hidden layers of psi the edges hold already
        if held < psi.depth - 1:
            _write_hidden(layer, psi, held, 1.0)
            continue
        _send(layer, psi)
        if index < len(model.layers) - 1:
            for taken in range(psi.depth - 1):
                _write_hidden(layer, psi, taken, -1.0)
            _update_activations(layer)
        else:
            _keep_results(layer, outputs, constant)
    _read_out(model, constant)
    return model.eval()


def _embed(model: WSKAN, constant: float) -> None:
    """Step 1 of the proof: nodes hold x and edges their parameters. Beside them C, and the marks of the outputs."""
    assert model.node_embedding is not None
    assert model.node_position is not None
    hidden, outputs = model.config.hidden, model.config.out_dim
    model.edge_embedding.weight.copy_(torch.eye(hidden, model.config.edge_dim))
    model.node_embedding.weight.copy_(_pair(INPUT, hidden).unsqueeze(1))
    model.node_constant.copy_(constant * _pair(CONSTANT, hidden))
    for output in range(outputs):  # their positions are the last
        model.node_position.weight[output - outputs] = _pair(_mark(output), hidden)


def _send(layer: WSKANLayer, psi: UnivariateMLP) -> None:
    """Eq. 11, MLP_v^(1;F)(v_j, e) = psi(v_j, e), from its last hidden layer on; and eq. 12, MLP_v^(2;F)(v, sum) = sum."""
    message, hidden = layer.forward_message, layer.node_norm.weight.numel()
    _hidden_layer(message, psi, psi.depth - 1, 0)
    message.second.weight[0, : psi.width] = psi.out.weight[0]
    message.second.bias[0] = psi.out.bias[0]
    _pass(layer.forward_update, 0, _unit(hidden, 2 * hidden), _unit(0, hidden))


def _update_activations(layer: WSKANLayer) -> None:
    """MLP_v^(3)(v, v^F, v^B) = v^F, less the activation that the residual connection adds. At inputs both are 0."""
    hidden = layer.node_norm.weight.numel()
    difference = _unit(hidden, 3 * hidden) - _unit(ACTIVATION, 3 * hidden)
    _pass(layer.node_update, 0, difference, _pair(ACTIVATION, hidden))


def _keep_results(layer: WSKANLayer, outputs: int, constant: float) -> None:
    """The same for the last round: v^F goes into the place of the output that the node is marked as. At other nodes its gate is closed, by GATE (mark - 1)."""
    hidden = layer.node_norm.weight.numel()
    for output in range(outputs):
        gate = GATE * (_unit(_mark(output), 3 * hidden) - _unit(CONSTANT, 3 * hidden) / constant)
        _pass(layer.node_update, 2 * output, _unit(hidden, 3 * hidden), _pair(_result(output, outputs), hidden), gate)


def _read_out(model: WSKAN, constant: float) -> None:
    """Undo the mean over output nodes. Without hidden nodes, the mean over them has no C."""
    hidden, outputs, kinds = model.config.hidden, model.config.out_dim, min(len(model.config.widths), 3)
    model.norm.weight.fill_(math.sqrt(2 * kinds * constant**2 / (3 * hidden) + model.norm.eps))
    for output in range(outputs):
        place = 2 * hidden + _result(output, outputs)
        _pass(model.head, 2 * output, outputs * _unit(place, 3 * hidden), _unit(output, outputs))


def _write_hidden(layer: WSKANLayer, psi: UnivariateMLP, index: int, sign: float) -> None:
    """MLP_e(v_i, v_j, e): add hidden layer ``index`` of psi to the state of the edge, or take it back."""
    assert layer.edge_update is not None
    _hidden_layer(layer.edge_update, psi, index, begin := index * psi.width)
    place = psi.edge_dim + index * psi.width
    layer.edge_update.second.weight[place : place + psi.width, begin : begin + psi.width] = sign * torch.eye(psi.width)


def _hidden_layer(mlp: MLP, psi: UnivariateMLP, index: int, begin: int) -> None:
    """Units from ``begin`` on become hidden layer ``index`` of psi. ``mlp`` reads the source first and the edge last."""
    linear, hidden = psi.linears[index], mlp.second.out_features
    units, edge = slice(begin, begin + psi.width), mlp.first.in_features - hidden
    mlp.first.bias[units] = linear.bias
    if index > 0:
        place = edge + psi.edge_dim + (index - 1) * psi.width
        mlp.first.weight[units, place : place + psi.width] = linear.weight
        return
    for place in (INPUT, ACTIVATION):  # one of them is 0
        mlp.first.weight[units, place] = linear.weight[:, 0]
    mlp.first.weight[units, edge : edge + psi.edge_dim] = linear.weight[:, 1:]


def _pass(mlp: MLP, unit: int, read: Tensor, write: Tensor, gate: Tensor | None = None) -> None:
    """Two units through which z = ``read . input`` goes unchanged to ``write``: silu(z) - silu(-z) = z. Where ``gate . input`` is far below 0, none of it does."""
    shift = torch.zeros_like(read) if gate is None else gate
    mlp.first.weight[unit], mlp.first.weight[unit + 1] = shift + read, shift - read
    mlp.second.weight[:, unit], mlp.second.weight[:, unit + 1] = write, -write


def _mark(output: int) -> int:
    return OUTPUTS + 2 * output


def _result(output: int, outputs: int) -> int:
    return OUTPUTS + 2 * outputs + 2 * output


def _unit(place: int, size: int) -> Tensor:
    return F.one_hot(torch.tensor(place), size).double()


def _pair(place: int, size: int) -> Tensor:
    """What a 1 is in the state of a node."""
    return _unit(place, size) - _unit(place + 1, size)
