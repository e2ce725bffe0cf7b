"""The construction of Proposition 4.2: WS-KAN computes the composition with an MLP for every edge function."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor

from wskan.errors import ShapeError
from wskan.graph import FeatureConfig, KANGraph, collate, kan_graph
from wskan.kan import Layer, Population
from wskan.models import WSKAN, UnivariateMLP, load_model, replay_model, save_model, with_inputs
from wskan.testing import random_permutation, random_population

RAW = FeatureConfig(form="raw")

SPECS = st.tuples(
    st.sampled_from([(1, 1), (3, 2), (2, 4, 1), (3, 5, 4, 2), (2, 3, 4, 3, 1)]), st.integers(1, 12), st.integers(1, 4)
)


def make(widths: tuple[int, ...], width: int, depth: int, seed: int = 0) -> tuple[UnivariateMLP, Population, Tensor]:
    """A random MLP, random KANs with masked edges, and an input of each, in double precision."""
    torch.manual_seed(seed)
    population = random_population(widths, 5, seed).to(torch.float64)
    psi = UnivariateMLP(population.spec.num_basis + 2, width, depth).double()
    return psi, population, 2 * torch.rand(5, widths[0], dtype=torch.float64) - 1


def composition(psi: UnivariateMLP, layers: Sequence[Layer], x: Tensor) -> Tensor:
    """``a_q <- sum_p mask_pq psi(a_p, e_pq)``, layer by layer, ``[K, n_L]``."""
    for layer in layers:
        edges = torch.cat([layer.base_weight[..., None], layer.spline_weight[..., None], layer.coef], -1)
        values = psi(x[:, :, None].expand(edges.shape[:-1]), edges)
        x = (values * layer.mask).sum(1)
    return x


@given(SPECS, st.integers(0, 10**6))
def test_ws_kan_is_the_composition(spec: tuple[tuple[int, ...], int, int], seed: int) -> None:
    widths, width, depth = spec
    psi, population, x = make(widths, width, depth, seed)
    model = replay_model(psi, widths)
    assert type(model) is WSKAN
    output = model(with_inputs(kan_graph(population, RAW), x))
    torch.testing.assert_close(output, composition(psi, population.layers, x), rtol=1e-8, atol=1e-9)


@given(SPECS, st.integers(0, 10**6))
def test_in_single_precision_too(spec: tuple[tuple[int, ...], int, int], seed: int) -> None:
    """By the C++ kernel, where it can be used."""
    widths, width, depth = spec
    psi, population, x = make(widths, width, depth, seed)
    output = replay_model(psi.float(), widths)(with_inputs(kan_graph(population.to(torch.float32), RAW), x.float()))
    torch.testing.assert_close(output.double(), composition(psi.double(), population.layers, x), rtol=3e-4, atol=3e-4)


def test_hidden_neurons_in_any_order() -> None:
    psi, population, x = make((3, 5, 4, 2), 6, 2)
    model, graph = replay_model(psi, (3, 5, 4, 2)), with_inputs(kan_graph(population, RAW), x)
    permuted = graph.permute(random_permutation(graph.widths, len(graph), 1))
    torch.testing.assert_close(model(permuted), model(graph), rtol=1e-9, atol=1e-9)


def test_one_model_for_kans_of_any_hidden_widths() -> None:
    psi, wide, x = make((3, 6, 2), 6, 2)
    narrow = random_population((3, 2, 2), 5, 1).to(torch.float64)
    graph: KANGraph = collate([with_inputs(kan_graph(p, RAW), x) for p in (wide, narrow)])
    expected = torch.cat([composition(psi, p.layers, x) for p in (wide, narrow)])
    torch.testing.assert_close(replay_model(psi, (3, 4, 2))(graph), expected, rtol=1e-8, atol=1e-9)


@pytest.fixture
def hidden_states() -> Iterator[list[Tensor]]:
    """Activations of all neurons after each round, as :class:`WSKAN` goes along."""
    states: list[Tensor] = []
    handle = torch.nn.modules.module.register_module_forward_hook(
        lambda module, given, out: states.append(out[0]) if type(module).__name__ == "WSKANLayer" else None
    )
    yield states
    handle.remove()


def test_after_l_steps_the_first_l_layers_are_right_and_stay_so(hidden_states: list[Tensor]) -> None:
    """The induction of the proof."""
    widths, depth = (2, 3, 4, 2, 1), 3
    psi, population, x = make(widths, 6, depth)
    replay_model(psi, widths)(with_inputs(kan_graph(population, RAW), x))
    right = [x]
    for layer in population.layers:
        right.append(composition(psi, [layer], right[-1]))
    assert len(hidden_states) == 4 * depth
    for done in range(1, 4):
        state = hidden_states[depth * done - 1]
        activations = (state[..., 2] + state[..., 4]).split(widths, 1)  # at inputs x, elsewhere what was computed
        for found, expected in zip(activations[: done + 1], right, strict=False):
            torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9)
        torch.testing.assert_close(state[..., 4], -state[..., 5])


def test_it_is_a_model_like_any_other(tmp_path: Path) -> None:
    psi, population, x = make((2, 3, 1), 6, 2)
    model, graph = (
        replay_model(psi.float(), (2, 3, 1)),
        with_inputs(kan_graph(population.to(torch.float32), RAW), x.float()),
    )
    save_model(model, tmp_path)
    torch.testing.assert_close(load_model(tmp_path)(graph), model(graph))


def test_inputs_of_another_shape() -> None:
    _, population, x = make((2, 3, 1), 6, 2)
    with pytest.raises(ShapeError, match="need"):
        with_inputs(kan_graph(population, RAW), x[:, :1])
