import pytest
import torch

from wskan.align import interpolate, interpolation_loss, weight_matching
from wskan.errors import ShapeError
from wskan.testing import random_permutation, random_population

T = torch.linspace(0, 1, 5)


def test_the_ends_are_the_kans_and_the_middle_is_their_mean() -> None:
    a, b = random_population((2, 4, 3, 1), 1, 0), random_population((2, 4, 3, 1), 1, 1)
    line, x = interpolate(a, b, T), torch.rand(20, 2) * 2 - 1
    assert len(line) == 5
    torch.testing.assert_close(line(x)[:1], a(x))
    torch.testing.assert_close(line(x)[-1:], b(x))
    for layer, p, q in zip(line.layers, a.layers, b.layers, strict=True):
        torch.testing.assert_close(layer.knots[2:3], (p.knots + q.knots) / 2)
        torch.testing.assert_close(layer.base_weight[2], (p.base_weight * p.mask + q.base_weight * q.mask)[0] / 2)


def test_the_loss_is_that_of_each_kan() -> None:
    a, b = random_population((2, 4, 2), 1, 0), random_population((2, 4, 2), 1, 1)
    x, y = torch.rand(20, 2), torch.rand(20, 2)
    loss = interpolation_loss(a, b, x, y, T)
    for index, t in enumerate(T):
        torch.testing.assert_close(loss[index], (interpolate(a, b, t[None])(x)[0] - y).square().mean())
    torch.testing.assert_close(interpolation_loss(a, b, x, y.expand(5, -1, -1), T), loss)


def test_between_a_kan_and_its_copy_there_is_nothing_once_aligned() -> None:
    kan = random_population((2, 6, 1), 1, 0)
    copy, x = kan.permute(random_permutation((2, 6, 1), 0)), torch.rand(30, 2) * 2 - 1
    y = kan(x)[0]
    assert float(interpolation_loss(kan, copy, x, y, T).max()) > 1e-3
    assert float(interpolation_loss(kan, weight_matching(copy, kan).aligned, x, y, T).max()) < 1e-8


def test_one_kan_each() -> None:
    kans = random_population((2, 4, 1), 2, 0)
    with pytest.raises(ShapeError, match="two populations of one KAN"):
        interpolate(kans, kans, T)
