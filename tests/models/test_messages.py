import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from wskan.models import message_kernel, messages
from wskan.models.messages import Half, edge_activations, edge_messages

needs_compiler = pytest.mark.skipif(isinstance(message_kernel._library(), str), reason="no C++ compiler")


@given(st.integers(0, 10**6), st.booleans(), st.booleans(), st.booleans(), st.integers(1, 5))
def test_fused_messages_and_their_gradients_equal_plain_ones(
    seed: int, masked: bool, backward: bool, update: bool, chunk: int
) -> None:
    check(seed, masked, backward, update, chunk, 6, torch.float64)


@needs_compiler
@given(st.integers(0, 10**6), st.booleans(), st.booleans(), st.booleans(), st.sampled_from([16, 32, 48]))
def test_the_kernel_equals_plain_formulas(seed: int, masked: bool, backward: bool, update: bool, h: int) -> None:
    check(seed, masked, backward, update, 1, h, torch.float32)


@needs_compiler
@given(st.integers(0, 10**6), st.booleans(), st.sampled_from([1, 2]), st.sampled_from([3, 4]), st.sampled_from([1, 3]))
def test_the_kernel_in_bfloat16_equals_single_precision(seed: int, masked: bool, n: int, f: int, threads: int) -> None:
    """On features in place of edge states, an odd number of edges and of features among them; only the precision differs."""
    generator = torch.Generator().manual_seed(seed)
    size, m, h = 3, 17, 32
    edge, read, source, target = (
        torch.randn(shape, generator=generator) for shape in ((size, n, m, h), (size, n, m, f), (size, n, h), (1, m, h))
    )
    weights = [torch.randn(h, f, generator=generator) for _ in range(3)]
    mask = (torch.rand(size, n, m, 1, generator=generator) < 0.7).float() if masked else None
    results, before = [], torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for dtype in (torch.float32, torch.bfloat16):
            tensors = [t.detach().to(dtype).requires_grad_() for t in (edge, source, target, *weights)]
            e, s, t, *w = tensors
            second = torch.nn.Linear(h, h, dtype=dtype)
            torch.nn.init.constant_(second.weight, 0.1)
            torch.nn.init.constant_(second.bias, 0.5)
            assert message_kernel.available(e, read) or dtype == torch.bfloat16
            halves = (
                Half(w[0], s, None),
                Half(w[1], None, t.expand(size, -1, -1)),
                Half(w[2], s, t.expand(size, -1, -1)),
            )
            kept = None if mask is None else mask.to(dtype)
            outputs = edge_messages(e, kept, *halves, second, read.to(dtype))
            gradients = torch.autograd.grad(
                sum((o.float() * torch.arange(1.0, h + 1) / h).sum() for o in outputs), [*tensors, *second.parameters()]
            )
            results.append([x.float() for x in (*outputs, *gradients)])
    finally:
        torch.set_num_threads(before)
    for exact, rounded in zip(*results, strict=True):
        assert (exact - rounded).norm() <= 0.05 * exact.norm() + 0.05


def check(seed: int, masked: bool, backward: bool, update: bool, chunk: int, h: int, dtype: torch.dtype) -> None:
    torch.manual_seed(seed)
    size, n, m = 5, 13, 7
    edge = torch.randn(size, n, m, h, dtype=dtype, requires_grad=True)
    mask = (torch.rand(size, n, m, 1) < 0.7).to(dtype) if masked else None
    source, target = (torch.randn(size, k, h, dtype=dtype, requires_grad=True) for k in (n, m))
    weights = [torch.randn(h, h, dtype=dtype, requires_grad=True) for _ in range(3)]
    second = torch.nn.Linear(h, h).to(dtype)
    halves = (
        Half(weights[0], source, None),
        Half(weights[1], None, target) if backward else None,
        Half(weights[2], source, target) if update else None,
    )

    def plain() -> tuple[torch.Tensor | None, ...]:
        kept = 1 if mask is None else mask
        into = (edge_activations(edge, halves[0]) * kept).sum(1)
        outof = None if halves[1] is None else (edge_activations(edge, halves[1]) * kept).sum(2)
        return into, outof, edge if halves[2] is None else edge + second(edge_activations(edge, halves[2]))

    inputs = [
        edge,
        source,
        *weights[: 1 + backward],
        *([target] if backward or update else []),
        *([weights[2], *second.parameters()] if update else []),
    ]
    before, messages.CHUNK = messages.CHUNK, chunk * n * m * h * 8  # a few graphs at a time
    try:
        results = []
        assert message_kernel.available(edge, None) == (dtype == torch.float32)
        for outputs in (edge_messages(edge, mask, *halves, second), plain()):
            loss = sum((i + 1) * output.sin().sum() for i, output in enumerate(outputs) if output is not None)
            results.append((outputs, torch.autograd.grad(loss, inputs)))
    finally:
        messages.CHUNK = before
    (fast, fast_gradients), (slow, slow_gradients) = results
    for a, b in zip(fast, slow, strict=True):
        assert (a is None and b is None) or torch.allclose(a, b, rtol=1e-4, atol=1e-4)
    for a, b in zip(fast_gradients, slow_gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-3)
