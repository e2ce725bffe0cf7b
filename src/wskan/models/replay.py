"""Construct a WS-KAN that replays the forward pass of any KAN of a family (paper, section 4; proofs in appendix E).

Lemma 4.1 gives an MLP, :class:`UnivariateMLP`, that represents every edge function: ``psi(x, e)`` with e = [w_b, w_s,
c] (eq. 5). Proposition 4.2 puts its weights into WS-KAN (eqs. 11 to 14). WS-KAN then computes ``a_q <- sum_p psi(a_p,
e_pq)`` in all layers at once. After l steps, the neurons of the first l layers are right and stay so.

:func:`replay_model` is that construction for the WS-KAN of this package, which has three things that the proof lacks:

- *Residual connections.* An update writes differences: MLP_v^(3) returns the sum minus the activation. A linear map
  passes through a two-layer MLP unchanged as pairs of units, since ``silu(z) - silu(-z) = z``.
- *Layer normalisation.* The state of a node holds a number a as the pair (a, -a), which has mean 0, and a pair of
  constants (C, -C). The standard deviation is then ``C sqrt(2/h)`` up to a share of (a/C)^2. Normalisation with this as
  its weight is the identity.
- *Edge MLPs with one hidden layer*, where ``psi`` may have D. A step therefore takes D rounds. In all but the last,
  MLP_e writes the next hidden layer into the state of the edge. In the last, the message reads it, and MLP_e subtracts
  all that it wrote, from states that have not changed since. With D = 1, MLP_e is 0, as in eq. 14.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from wskan.errors import ShapeError
from wskan.graph import KANGraph
from wskan.models.ops.edge_messages_cpp import LANES
from wskan.models.ops.layers import MLP
from wskan.models.univariate_mlp import UnivariateMLP
from wskan.models.ws_kan import WSKAN
from wskan.models.ws_kan_config import WSKANConfig
from wskan.models.ws_kan_layer import WSKANLayer

GATE = 40.0  # silu(z - 40) is zero in single precision for z of the size of activations

CONSTANT, INPUT, ACTIVATION, OUTPUTS = 0, 2, 4, 6
"""Positions of pairs in the state of a node: the constant C, the input (at inputs) and the activation (elsewhere).

Then follow one pair per output that marks its node, and one per output with its result.
"""


def with_inputs(graph: KANGraph, x: Tensor) -> KANGraph:
    """Set the features of input nodes to the inputs of the KANs, and those of all other nodes to 0.

    Proposition 4.2 reads KAN-graphs "where the nodes in the first layer are enhanced with the input x".

    Args:
        graph: B graphs.
        x: ``[B, n_0]``.

    Raises:
        ShapeError: x has another shape.
    """
    if tuple(x.shape) != (len(graph), graph.widths[0]):
        raise ShapeError(f"x has shape {tuple(x.shape)}, but the graphs need {(len(graph), graph.widths[0])}")
    others = (x.new_zeros(len(graph), width, 1) for width in graph.widths[1:])
    return dataclasses.replace(graph, nodes=(x.unsqueeze(-1), *others))


@torch.no_grad()
def replay_model(psi: UnivariateMLP, widths: Sequence[int]) -> WSKAN:
    """Construct the WS-KAN of Proposition 4.2, in evaluation mode and in the precision of ``psi``.

    It maps a KAN-graph with its input (:func:`with_inputs`) to the output ``[B, n_L]`` of the KAN whose edge functions
    are all given by ``psi``. The error is rounding and a share (a/C)^2 of activations a, where C is about 200 in single
    precision and 165,000 in double. Activations should be about 1 in size, and must be well below the GATE of 40. The
    readout takes the mean over output nodes. Each output therefore has its own pair in the state, and the head
    multiplies by their number.

    Args:
        psi: the MLP for all edges.
        widths: widths of the KANs, inputs first. Hidden widths do not matter: the model replays KANs with any hidden
            widths and with masked edges.

    Returns:
        A model with ``L * D`` rounds and hidden dimension ``F + (D - 1) * width``, or a little more.

    Raises:
        DataError: A model may not have that many rounds or dimensions (:class:`wskan.models.ModelConfig`).
    """
    outputs, steps = widths[-1], len(widths) - 1
    hidden = max(psi.edge_dim + (psi.depth - 1) * psi.width, psi.width, OUTPUTS + 4 * outputs)
    hidden = -(-hidden // LANES) * LANES  # for the C++ kernel
    config = WSKANConfig(
        widths=tuple(widths),
        edge_dim=psi.edge_dim,
        node_dim=1,
        out_dim=outputs,
        hidden=hidden,
        num_layers=steps * psi.depth,
        dropout=0.0,
    )
    model = WSKAN(config).to(psi.out.weight.dtype)
    for parameter in model.parameters():
        parameter.zero_()  # eq. 14, and all weights that are not set below
    constant = torch.finfo(psi.out.weight.dtype).eps ** (-1 / 3)  # balances (a/C)^2 with the rounding of C
    _embed(model, constant)
    for index, layer in enumerate(model.layers):
        assert isinstance(layer, WSKANLayer)
        layer.node_norm.weight.fill_(math.sqrt(2 * constant**2 / hidden + layer.node_norm.eps))
        stored = index % psi.depth  # number of hidden layers of psi that the edges hold already
        if stored < psi.depth - 1:
            _write_hidden(layer, psi, stored, 1.0)
            continue
        _send(layer, psi)
        if index < len(model.layers) - 1:
            for hidden_layer in range(psi.depth - 1):
                _write_hidden(layer, psi, hidden_layer, -1.0)
            _update_activations(layer)
        else:
            _keep_results(layer, outputs, constant)
    _read_out(model, constant)
    return model.eval()


def _embed(model: WSKAN, constant: float) -> None:
    """Embed as in step 1 of the proof: nodes hold x, C and the marks of outputs; edges hold their parameters."""
    assert model.node_embedding is not None
    assert model.node_position is not None
    hidden, outputs = model.config.hidden, model.config.out_dim
    model.edge_embedding.weight.copy_(torch.eye(hidden, model.config.edge_dim))
    model.node_embedding.weight.copy_(_pair(INPUT, hidden).unsqueeze(1))
    model.node_constant.copy_(constant * _pair(CONSTANT, hidden))
    for output in range(outputs):  # their positions are the last
        model.node_position.weight[output - outputs] = _pair(_mark(output), hidden)


def _send(layer: WSKANLayer, psi: UnivariateMLP) -> None:
    """Set MLP_v^(1;F)(v_j, e) = psi(v_j, e) from the last hidden layer, and MLP_v^(2;F)(v, sum) = sum (eqs. 11, 12)."""
    message, hidden = layer.forward_message, layer.node_norm.weight.numel()
    _hidden_layer(message, psi, psi.depth - 1, 0)
    message.second.weight[0, : psi.width] = psi.out.weight[0]
    message.second.bias[0] = psi.out.bias[0]
    _pass(layer.forward_update, 0, _unit(hidden, 2 * hidden), _unit(0, hidden))


def _update_activations(layer: WSKANLayer) -> None:
    """Set MLP_v^(3)(v, v^F, v^B) = v^F minus the activation that the residual connection adds; both are 0 at inputs."""
    hidden = layer.node_norm.weight.numel()
    difference = _unit(hidden, 3 * hidden) - _unit(ACTIVATION, 3 * hidden)
    _pass(layer.node_update, 0, difference, _pair(ACTIVATION, hidden))


def _keep_results(layer: WSKANLayer, outputs: int, constant: float) -> None:
    """Set MLP_v^(3) of the last round: v^F goes to the pair of the output that the node is marked as.

    At other nodes its gate is closed, by GATE (mark - 1).
    """
    hidden = layer.node_norm.weight.numel()
    for output in range(outputs):
        gate = GATE * (_unit(_mark(output), 3 * hidden) - _unit(CONSTANT, 3 * hidden) / constant)
        _pass(layer.node_update, 2 * output, _unit(hidden, 3 * hidden), _pair(_result(output, outputs), hidden), gate)


def _read_out(model: WSKAN, constant: float) -> None:
    """Set the head, which undoes the mean over output nodes. Without hidden nodes, the mean over them has no C."""
    hidden, outputs, kinds = model.config.hidden, model.config.out_dim, min(len(model.config.widths), 3)
    model.norm.weight.fill_(math.sqrt(2 * kinds * constant**2 / (3 * hidden) + model.norm.eps))
    for output in range(outputs):
        column = 2 * hidden + _result(output, outputs)
        _pass(model.head, 2 * output, outputs * _unit(column, 3 * hidden), _unit(output, outputs))


def _write_hidden(layer: WSKANLayer, psi: UnivariateMLP, index: int, sign: float) -> None:
    """Set MLP_e(v_i, v_j, e) to add hidden layer ``index`` of psi to the state of the edge, or to subtract it."""
    assert layer.edge_update is not None
    _hidden_layer(layer.edge_update, psi, index, begin := index * psi.width)
    row = psi.edge_dim + index * psi.width
    layer.edge_update.second.weight[row : row + psi.width, begin : begin + psi.width] = sign * torch.eye(psi.width)


def _hidden_layer(mlp: MLP, psi: UnivariateMLP, index: int, begin: int) -> None:
    """Set units of ``mlp`` from ``begin`` on to hidden layer ``index`` of psi. The edge is last among its inputs."""
    linear, hidden = psi.linears[index], mlp.second.out_features
    units, edge = slice(begin, begin + psi.width), mlp.first.in_features - hidden
    mlp.first.bias[units] = linear.bias
    if index > 0:
        column = edge + psi.edge_dim + (index - 1) * psi.width
        mlp.first.weight[units, column : column + psi.width] = linear.weight
        return
    for column in (INPUT, ACTIVATION):  # one of them is 0
        mlp.first.weight[units, column] = linear.weight[:, 0]
    mlp.first.weight[units, edge : edge + psi.edge_dim] = linear.weight[:, 1:]


def _pass(mlp: MLP, unit: int, read: Tensor, write: Tensor, gate: Tensor | None = None) -> None:
    """Set two units to add z = ``read . input`` times ``write`` to the output, since silu(z) - silu(-z) = z.

    If ``gate . input`` is far below 0, they add nothing.
    """
    shift = torch.zeros_like(read) if gate is None else gate
    mlp.first.weight[unit], mlp.first.weight[unit + 1] = shift + read, shift - read
    mlp.second.weight[:, unit], mlp.second.weight[:, unit + 1] = write, -write


def _mark(output: int) -> int:
    return OUTPUTS + 2 * output


def _result(output: int, outputs: int) -> int:
    return OUTPUTS + 2 * outputs + 2 * output


def _unit(index: int, size: int) -> Tensor:
    return F.one_hot(torch.tensor(index), size).double()


def _pair(index: int, size: int) -> Tensor:
    """Return the number 1 as a pair in the state of a node."""
    return _unit(index, size) - _unit(index + 1, size)
