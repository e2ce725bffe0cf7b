from typing import Any

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given

from wskan.errors import ShapeError
from wskan.models.ops import edge_messages as messages
from wskan.models.ops import edge_messages_cpp as message_kernel
from wskan.models.ops.edge_linear import EdgeLinear
from wskan.models.ops.edge_messages import edge_activations, edge_messages

needs_compiler = pytest.mark.skipif(isinstance(message_kernel._library(), str), reason="no C++ compiler")


@given(
    st.integers(0, 10**6), st.booleans(), st.booleans(), st.booleans(), st.integers(1, 5), st.sampled_from([None, 4])
)
def test_fused_messages_and_their_gradients_equal_plain_ones(
    seed: int, masked: bool, backward: bool, update: bool, chunk: int, f: int | None
) -> None:
    check(seed, masked, backward, update, chunk, 6, torch.float64, f)


@needs_compiler
@given(st.integers(0, 10**6), st.booleans(), st.booleans(), st.booleans(), st.sampled_from([16, 32, 48]))
def test_the_kernel_equals_plain_formulas(seed: int, masked: bool, backward: bool, update: bool, h: int) -> None:
    check(seed, masked, backward, update, 1, h, torch.float32)


@needs_compiler
@given(
    st.integers(0, 10**6),
    st.booleans(),
    st.sampled_from([(1, 17), (2, 17), (7, 13), (9, 17), (1, 1)]),
    st.sampled_from([16, 32, 48, 80]),
    st.sampled_from([None, 3, 4, 16, 33]),
    st.sampled_from([1, 3, 8]),
    st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_the_kernel_on_features_and_in_bfloat16(
    seed: int, masked: bool, block: tuple[int, int], h: int, f: int | None, threads: int, dtype: torch.dtype
) -> None:
    """Against the plain formula in double precision: on edge states (f is None) or on f features that they are made of.

    With strided halves of nodes, odd numbers of edges and features, and more threads than graphs."""
    if dtype == torch.bfloat16 and not message_kernel._library().wskan_messages_bfloat16():
        pytest.skip("no bfloat16 here")
    generator = torch.Generator().manual_seed(seed)
    size, (n, m) = 3, block

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(dtype).double()

    x, (here, there) = draw(size, n, m, f or h), (draw(size, n, h), draw(size, m, h))
    nodes, shared = draw(size, n + m, 2 * h), draw(1, m, h)
    weights, matrix, bias = [0.2 * draw(h, f or h) for _ in range(4)], 0.2 * draw(h, h), draw(h)
    mask = (torch.rand(size, n, m, 1, generator=generator) < 0.7).double() if masked else None
    results, before = [], torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for precision, plain in ((torch.float64, True), (dtype, False)):
            given_ = [
                t.detach().to(precision).requires_grad_()
                for t in (nodes, shared, *weights, matrix, bias, here, there, x)
            ]
            v, t, *w, second, b, i, j, e = given_
            if f is not None and f % 16:  # no gradients of these
                e = given_.pop().detach()
            source, target = v[:, :n, :h], t.expand(size, -1, -1)  # rows apart, and the same for all graphs
            halves = (
                EdgeLinear(w[0], source, None),
                EdgeLinear(w[1], None, v[:, n:, h:]),
                EdgeLinear(w[2], source, target),
            )
            states = None if f is None else EdgeLinear(w[3], None if f == 3 else i, None if f == 4 else j)
            kept = None if mask is None else mask.to(precision)
            if plain:
                a = [edge_activations(e, half) for half in halves]
                keep = 1 if kept is None else kept
                state = e if states is None else messages._before_activation(e, states)
                outputs = [(a[0] * keep).sum(1), (a[1] * keep).sum(2), state + F.linear(a[2], second, b)]
            else:
                linear = torch.nn.Linear(h, h, dtype=precision)
                del linear.weight, linear.bias
                linear.weight, linear.bias = second, b  # type: ignore[assignment]
                assert message_kernel.available(e, h)
                outputs = list(edge_messages(e, kept, *halves, linear, states))  # type: ignore[arg-type]
            loss = sum((o.double() * torch.arange(1, h + 1) / h).sum() for o in outputs)
            gradients = torch.autograd.grad(loss, given_, materialize_grads=True)  # type: ignore[arg-type]
            results.append([r.double() for r in (*outputs, *gradients)])
    finally:
        torch.set_num_threads(before)
    bound = 1e-5 if dtype == torch.float32 else 0.03
    for exact, found in zip(*results, strict=True):
        assert (exact - found).norm() <= bound * exact.norm() + 1e-6


@needs_compiler
def test_the_kernel_on_lesser_processors(lesser: Any) -> None:
    library = lesser(message_kernel)
    check(0, True, True, True, 1, 32, torch.float32)
    if library.wskan_messages_bfloat16():
        test_the_kernel_on_features_and_in_bfloat16()


@needs_compiler
def test_the_kernel_refuses_what_it_would_misread() -> None:
    edge, weight, linear = torch.randn(2, 3, 4, 16), torch.randn(16, 16), torch.nn.Linear(16, 16)
    good = EdgeLinear(weight, torch.randn(2, 3, 16), None)
    edge_messages(edge, None, good, None, None, linear)
    for bad in (
        good._replace(source=torch.randn(1, 3, 16)),
        good._replace(source=torch.randn(2, 16, 3).transpose(1, 2)),
        good._replace(source=torch.randn(2, 3, 1).expand(2, 3, 16)),
        good._replace(target=torch.randn(2, 3, 16)),
        good._replace(weight=torch.randn(16, 32)),
    ):
        with pytest.raises(ShapeError, match="contiguous"):
            edge_messages(edge, None, bad, None, None, linear)
    with pytest.raises(ShapeError, match="contiguous"):
        edge_messages(edge, torch.ones(1, 3, 4, 1), good, None, None, linear)
    features, reader = torch.randn(2, 3, 4, 32), EdgeLinear(torch.randn(16, 32), None, None)
    edge_messages(features, None, reader, None, reader, linear, reader)
    with pytest.raises(ShapeError, match="contiguous"):  # which are no states
        edge_messages(features, None, reader, None, reader, linear)
    for second in (torch.nn.Linear(8, 16), torch.nn.Linear(16, 16, bias=False)):
        with pytest.raises(ShapeError):
            edge_messages(edge, None, good, None, good, second)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_second_derivatives_are_refused_and_strides_are_not(dtype: torch.dtype) -> None:
    edge = torch.randn(2, 4, 3, 16, dtype=dtype).transpose(1, 2).requires_grad_()
    half, linear = EdgeLinear(torch.randn(16, 16, dtype=dtype), None, None), torch.nn.Linear(16, 16, dtype=dtype)
    into, _, _ = edge_messages(edge, None, half, None, None, linear)
    torch.testing.assert_close(into, edge_activations(edge, half).sum(1), rtol=1e-4, atol=1e-4)
    (gradient,) = torch.autograd.grad(into.square().sum(), edge, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def check(
    seed: int, masked: bool, backward: bool, update: bool, chunk: int, h: int, dtype: torch.dtype, f: int | None = None
) -> None:
    """On edge states, or on f features of which they are made."""
    torch.manual_seed(seed)
    size, n, m = 5, 13, 7
    edge = torch.randn(size, n, m, f or h, dtype=dtype, requires_grad=True)
    mask = (torch.rand(size, n, m, 1) < 0.7).to(dtype) if masked else None
    source, target = (torch.randn(size, k, h, dtype=dtype, requires_grad=True) for k in (n, m))
    weights = [torch.randn(h, f or h, dtype=dtype, requires_grad=True) for _ in range(4)]
    second = torch.nn.Linear(h, h).to(dtype)
    halves = (
        EdgeLinear(weights[0], source, None),
        EdgeLinear(weights[1], None, target) if backward else None,
        EdgeLinear(weights[2], source, target) if update else None,
    )
    states = None if f is None else EdgeLinear(weights[3], source, None)

    def plain() -> tuple[torch.Tensor | None, ...]:
        kept = 1 if mask is None else mask
        into = (edge_activations(edge, halves[0]) * kept).sum(1)
        outof = None if halves[1] is None else (edge_activations(edge, halves[1]) * kept).sum(2)
        state = edge if states is None or not update else messages._before_activation(edge, states)
        return into, outof, state if halves[2] is None else state + second(edge_activations(edge, halves[2]))

    inputs = [
        edge,
        source,
        *weights[: 1 + backward],
        *([target] if backward or update else []),
        *([weights[2], *second.parameters()] if update else []),
        *([weights[3]] if update and f is not None else []),
    ]
    before, messages.CHUNK = messages.CHUNK, chunk * n * m * h * 8  # a few graphs at a time
    try:
        results = []
        assert message_kernel.available(edge, h) == (dtype == torch.float32)
        for outputs in (edge_messages(edge, mask, *halves, second, states), plain()):
            loss = sum((i + 1) * output.sin().sum() for i, output in enumerate(outputs) if output is not None)
            results.append((outputs, torch.autograd.grad(loss, inputs)))
    finally:
        messages.CHUNK = before
    (fast, fast_gradients), (slow, slow_gradients) = results
    for a, b in zip(fast, slow, strict=True):
        assert (a is None and b is None) or torch.allclose(a, b, rtol=1e-4, atol=1e-4)
    for a, b in zip(fast_gradients, slow_gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-3)
