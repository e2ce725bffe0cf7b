import hypothesis.strategies as st
import pytest
import torch
from hypothesis import example, given
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc

from wskan.tasks.binary_metrics import ROCAUC, AccuracyAbove, best_threshold, roc_auc
from wskan.tasks.task import ABSENT

few = st.integers(-3, 3).map(float)  # with many ties
scores = st.one_of(few, st.floats(-1e4, 1e4, width=32))
samples = st.lists(st.tuples(scores, st.booleans()), min_size=1, max_size=40)


def split(sample: list[tuple[float, bool]]) -> tuple[Tensor, Tensor]:
    score, positive = zip(*sample, strict=True)
    return torch.tensor(score), torch.tensor(positive)


@given(samples)
def test_auc_is_the_share_of_pairs_in_the_right_order(sample: list[tuple[float, bool]]) -> None:
    score, positive = split(sample)
    pairs = score[positive].unsqueeze(1) - score[~positive]
    if pairs.numel() == 0:
        assert roc_auc(score, positive) == 0.5
        return
    assert roc_auc(score, positive) == pytest.approx(float(((pairs.sign() + 1) / 2).double().mean()))
    assert roc_auc(score, positive) == pytest.approx(roc_auc_score(positive.numpy(), score.numpy()))
    assert roc_auc(-score, positive) == pytest.approx(1 - roc_auc(score, positive))


def test_auc_is_torchmetrics_where_probabilities_do_not_tie() -> None:
    positive = torch.rand(5000, generator=torch.Generator().manual_seed(0)) < 0.06
    score = torch.randn(5000, generator=torch.Generator().manual_seed(1)) + 2 * positive
    assert roc_auc(score, positive) == pytest.approx(float(binary_auroc(score.sigmoid(), positive.long())), abs=1e-5)
    confident = 60 + score  # probabilities of one, all of them
    assert roc_auc(confident, positive) == pytest.approx(roc_auc(score, positive), abs=1e-4)


@given(samples)
@example([(0.0, False), (0.0, True), (0.0, True)])
@example([(0.0, True), (0.0, False), (0.0, False)])
def test_no_threshold_is_better_than_the_best(sample: list[tuple[float, bool]]) -> None:
    score, positive = split(sample)
    threshold = best_threshold(score, positive)

    def accuracy(above: float) -> float:
        return float(((score > above) == positive).float().mean())

    every = [float(score.min()) - 1, *score.tolist()]  # each way to part the scores
    assert accuracy(threshold) == max(map(accuracy, every))


@given(st.floats(-100, 100, width=32))
def test_neighbouring_numbers_are_parted(number: float) -> None:
    low = torch.tensor(number)
    high = torch.nextafter(low, torch.tensor(1e9))
    threshold = best_threshold(torch.stack([high, low]), torch.tensor([True, False]))
    assert [bool(x > threshold) for x in (low, high)] == [False, True]


@given(samples, st.integers(1, 7), st.floats(-3, 3, width=32))
def test_batches_and_absent_edges_do_not_show(sample: list[tuple[float, bool]], batch: int, threshold: float) -> None:
    score, positive = split(sample)
    absent = torch.rand(len(score), generator=torch.Generator().manual_seed(len(sample))) < 0.3
    target = positive.to(torch.int8).masked_fill(absent, ABSENT)
    metrics = {"auc": ROCAUC(), "accuracy": AccuracyAbove(threshold)}
    for metric in metrics.values():
        for part, wanted in zip(score.split(batch), target.split(batch), strict=True):
            metric.update(part, wanted)
    kept = ~absent
    assert float(metrics["auc"].compute()) == pytest.approx(100 * roc_auc(score[kept], positive[kept]))
    if bool(kept.any()):
        right = (score[kept] > threshold) == positive[kept]
        assert float(metrics["accuracy"].compute()) == pytest.approx(100 * float(right.float().mean()), rel=1e-5)
