import hypothesis.strategies as st
import torch
from hypothesis import given

from wskan.models import messages
from wskan.models.messages import Half, edge_activations, edge_messages


@given(st.integers(0, 10**6), st.booleans(), st.booleans(), st.booleans(), st.integers(1, 5))
def test_fused_messages_and_their_gradients_equal_plain_ones(
    seed: int, masked: bool, backward: bool, update: bool, chunk: int
) -> None:
    torch.manual_seed(seed)
    size, n, m, h = 5, 3, 4, 6
    edge = torch.randn(size, n, m, h, dtype=torch.float64, requires_grad=True)
    mask = (torch.rand(size, n, m, 1) < 0.7).double() if masked else None
    source, target = (torch.randn(size, k, h, dtype=torch.float64, requires_grad=True) for k in (n, m))
    weights = [torch.randn(h, h, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    second = torch.nn.Linear(h, h).double()
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
        for outputs in (edge_messages(edge, mask, *halves, second), plain()):
            loss = sum((i + 1) * output.sin().sum() for i, output in enumerate(outputs) if output is not None)
            results.append((outputs, torch.autograd.grad(loss, inputs)))
    finally:
        messages.CHUNK = before
    (fast, fast_gradients), (slow, slow_gradients) = results
    for a, b in zip(fast, slow, strict=True):
        assert (a is None and b is None) or torch.allclose(a, b)
    for a, b in zip(fast_gradients, slow_gradients, strict=True):
        torch.testing.assert_close(a, b)
