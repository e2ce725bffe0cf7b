import pytest
import torch

from wskan.models.ops.layers import Dropout


@pytest.mark.parametrize("p", [0.1, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_drops_its_share_and_keeps_the_mean(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.ones(401, 503, dtype=dtype, requires_grad=True)
    y = Dropout(p)(x)
    share = (y == 0).float().mean(0)
    assert float(share.mean()) == pytest.approx(p, abs=0.006)
    assert float(share.std()) == pytest.approx((p * (1 - p) / 401) ** 0.5, rel=0.15), "columns are independent"
    assert float(y.detach().double().mean()) == pytest.approx(1, abs=0.01)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())  # type: ignore[arg-type]


def test_dropout_is_random_by_seed_and_nothing_in_evaluation() -> None:
    x = torch.ones(7, 3)
    dropout = Dropout(0.5)
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(dropout(x))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert dropout.eval()(x) is x
    assert Dropout(0.0)(x) is x
