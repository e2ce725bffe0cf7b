import torch

from wskan.kan import derive_seed, minibatches


def test_without_replacement_and_a_function_of_seed_and_step() -> None:
    seeds = torch.tensor([3, 4, 3])
    drawn = minibatches(seeds, range(0, 8), 20, 6)
    assert drawn.shape == (3, 8, 6)
    assert all(len(set(row.tolist())) == 6 for row in drawn.view(-1, 6))
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])
    assert torch.equal(minibatches(seeds[:1], range(5, 8), 20, 6)[0], drawn[0, 5:])


def test_every_sample_is_equally_likely() -> None:
    counts = minibatches(torch.arange(40), range(100), 10, 3).flatten().bincount(minlength=10)
    assert (counts - 1200).abs().max() < 150  # 5 standard deviations


def test_a_batch_of_all_points_is_in_order() -> None:
    assert minibatches(torch.tensor([1]), range(1), 4, 99).tolist() == [[[0, 1, 2, 3]]]


def test_derived_seeds_differ() -> None:
    seeds = torch.arange(1000)
    both = torch.cat([seeds, derive_seed(seeds, 1), derive_seed(seeds, 2)])
    assert len(both.unique()) == 3000
    assert (both >= 0).all()
