"""What is freed is not faulted in again, and goes back at the end."""

import ctypes
import resource
import sys

import pytest
import torch

from wskan.runtime import retain_freed_memory

BYTES = 2**29  # more than glibc ever keeps, and than earlier tests may have left free within the heap

glibc = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="only glibc hands memory back"
)


def pages_faulted_in() -> int:
    """By a block that is allocated, written and freed again and again: the fewest, for the heap may grow first."""
    faults = []
    for _ in range(8):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(BYTES, dtype=torch.uint8)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    return min(faults)


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


@glibc
def test_freed_memory_is_not_faulted_in_again() -> None:
    outside = pages_faulted_in()
    with retain_freed_memory():
        within = pages_faulted_in()
    assert within < outside / 10


@glibc
def test_it_goes_back_at_the_end_even_of_a_failure() -> None:
    def work() -> None:
        torch.ones(BYTES, dtype=torch.uint8)
        assert resident() > before + BYTES / 2
        raise KeyError

    before = resident()
    with pytest.raises(KeyError), retain_freed_memory():
        work()
    assert resident() < before + BYTES / 2
    torch.ones(BYTES, dtype=torch.uint8)
    assert resident() < before + BYTES / 2


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: pytest.fail("there is no glibc"))
    with retain_freed_memory():
        pass
