from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from wskan.errors import DataError
from wskan.graph import FeatureConfig, kan_graph
from wskan.models import SetTransformer, SetTransformerConfig
from wskan.testing import ModelConformance, random_population

RAW = FeatureConfig(form="raw")


class TestSetTransformer(ModelConformance):
    sees_topology = False

    def build(self, **config: Any) -> SetTransformer:
        return SetTransformer(SetTransformerConfig(**config))


class TestInduced(TestSetTransformer):
    def build(self, **config: Any) -> SetTransformer:
        return SetTransformer(SetTransformerConfig(**config, inducing=3))


def make(**config: Any) -> SetTransformer:
    torch.manual_seed(0)
    return SetTransformer(
        SetTransformerConfig(
            **{"widths": (2, 5, 1), "edge_dim": 9, "out_dim": 3, "hidden": 16, "num_layers": 2, **config}
        )
    )


@pytest.mark.parametrize("inducing", [0, 3])
@pytest.mark.parametrize("keep", [0.7, 1.0])
@pytest.mark.parametrize("bf16", [False, True])
def test_attention_runs_in_the_fused_kernel(inducing: int, keep: float, bf16: bool) -> None:
    model = make(inducing=inducing, dropout=0.2).train()
    graph = kan_graph(random_population((2, 9, 9, 1), 3, 0, keep=keep), RAW)
    assert (graph.edge_mask[1] is None) == (keep == 1.0)
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        output = model(graph)  # refused if that kernel cannot do it
    assert output.dtype == (torch.bfloat16 if bf16 else torch.float32)
    output.float().square().sum().backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in model.parameters())


@pytest.mark.parametrize("inducing", [0, 3])
@pytest.mark.parametrize("keep", [0.7, 1.0])
def test_memory_does_not_grow_with_the_square_of_the_edges(inducing: int, keep: float) -> None:
    model = make(inducing=inducing)

    def kept_for_backward(width: int) -> int:
        sizes: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            output = model(kan_graph(random_population((2, width, width, 1), 1, 0, keep=keep), RAW))
        assert output.requires_grad
        return sum(sizes.values())

    small, large = kept_for_backward(13), kept_for_backward(29)  # 208 and 928 edges
    assert large < 5 * small


def test_no_kernel_is_asked_to_attend_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    attention, masks = torch.nn.functional.scaled_dot_product_attention, list[torch.Tensor]()

    def watched(*args: Any, attn_mask: torch.Tensor) -> torch.Tensor:
        masks.append(attn_mask)
        return attention(*args, attn_mask=attn_mask)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", watched)
    make()(kan_graph(random_population((2, 5, 1), 3, 0, keep=0.0), RAW))
    assert len(masks) == 2
    assert all(bool(mask.any(-1).all()) for mask in masks)


def test_the_fused_kernel_computes_what_the_plain_formula_does() -> None:
    graph = kan_graph(random_population((2, 5, 1), 3, 0, keep=0.7), RAW)
    model = make().eval()
    fused = model(graph)
    with sdpa_kernel(SDPBackend.MATH):
        torch.testing.assert_close(model(graph), fused, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        ({"heads": 0}, "heads"),
        ({"heads": True}, "heads"),
        ({"heads": 4.0}, "heads"),
        ({"heads": 3}, "hidden 16 cannot be divided among 3 heads"),
        ({"inducing": -1}, "inducing"),
        ({"inducing": 10**9}, "inducing"),
        ({"inducing": None}, "inducing"),
    ],
)
def test_bad_configurations_are_refused(bad: dict[str, object], match: str) -> None:
    with pytest.raises(DataError, match=match):
        make(**bad)
