import pytest
import torch
from scipy.stats import kendalltau
from sklearn.metrics import r2_score

from wskan.errors import DataError
from wskan.tasks import AccuracyPrediction, get_task
from wskan.tasks.regression import Kendall
from wskan.testing import FakeZoo
from wskan.zoo import Zoo


@pytest.fixture(scope="module")
def zoo() -> Zoo:
    return FakeZoo(classifiers=True)


def test_targets_are_fractions(zoo: Zoo) -> None:
    rows = zoo.split("val")
    assert torch.equal(AccuracyPrediction().targets(zoo, rows), zoo.columns["accuracy"][rows].unsqueeze(-1))
    with pytest.raises(DataError, match="accuracy"):
        AccuracyPrediction().check(FakeZoo())


def test_loss_is_zero_where_the_prediction_is_right(zoo: Zoo) -> None:
    task = AccuracyPrediction()
    targets = task.targets(zoo)
    output = (targets - task.center) / task.spread
    assert float(task.loss(output, targets)) == 0
    torch.testing.assert_close(task.decode(output), targets)
    assert float(task.loss(output + 2, targets)) == pytest.approx(4)


def test_metrics_are_those_of_others() -> None:
    found, target = torch.rand(2, 50, 1, generator=torch.Generator().manual_seed(0))
    target[:10] = target[0]
    metrics = AccuracyPrediction().metrics()
    for part, wanted in zip(found.split(8), target.split(8), strict=True):
        metrics.update(part, wanted)
    scores = metrics.compute()
    assert list(scores) == ["mse", "r2", "kendall"]
    assert float(scores["mse"]) == pytest.approx(float((found - target).square().mean()))
    assert float(scores["r2"]) == pytest.approx(r2_score(target, found), rel=1e-4)
    assert float(scores["kendall"]) == pytest.approx(kendalltau(found, target).statistic)
    assert set(AccuracyPrediction().training_metrics()) == {"mse", "r2"}


@pytest.mark.parametrize("size", [1, 2, 9])
def test_equal_targets_give_numbers(size: int) -> None:
    for found in (torch.rand(size, 1), torch.full((size, 1), 0.3)):
        metrics = AccuracyPrediction().metrics()
        metrics.update(found, torch.full((size, 1), 0.7))
        assert all(bool(value.isfinite()) for value in metrics.compute().values())
    kendall = Kendall()
    kendall.update(torch.rand(size, 1), torch.full((size, 1), 0.7))
    assert float(kendall.compute()) == 0


def test_it_is_what_auto_means_for_classifiers(zoo: Zoo) -> None:
    assert get_task("auto", zoo).name == "accuracy-prediction"
    assert get_task("accuracy-prediction") == AccuracyPrediction()
