import itertools

import hypothesis.strategies as st
import torch
from hypothesis import given

from wskan.kan.edges import flatten_edges, unflatten_edges

widths = st.lists(st.integers(1, 5), min_size=2, max_size=5)


@given(widths, st.sampled_from([(), (3,)]))
def test_joining_and_splitting_are_inverse(widths: list[int], channels: tuple[int, ...]) -> None:
    blocks = [torch.rand(2, n, m, *channels) for n, m in itertools.pairwise(widths)]
    joined = flatten_edges(blocks)
    assert all(torch.equal(a, b) for a, b in zip(unflatten_edges(joined, widths), blocks, strict=True))
    edge = 0  # layer after layer, each row by row
    for block in blocks:
        for p in range(block.shape[1]):
            for q in range(block.shape[2]):
                assert torch.equal(joined[:, edge], block[:, p, q])
                edge += 1
    assert edge == joined.shape[1]
