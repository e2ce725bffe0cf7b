"""A scenario is a function that does something bad to real processes and says which of its promises broke."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faults.lab import Lab


@dataclasses.dataclass
class Verdict:
    """The outcome: a sentence, and each breach of the promise as a line of its own."""

    happened: str = ""
    broken: list[str] = dataclasses.field(default_factory=list)
    skipped: bool = False

    def need(self, holds: bool, otherwise: str) -> None:
        """Note a breach unless something holds."""
        if not holds:
            self.broken.append(otherwise)

    def add(self, *breaches: str) -> None:
        """Note breaches; empty ones are none."""
        self.broken += [breach for breach in breaches if breach]


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A function with its name, what is promised, and whether it is part of the quick run."""

    name: str
    promised: str
    quick: bool
    run: Callable[[Lab], Verdict]

    @property
    def group(self) -> str:
        """File that it stands in."""
        return self.run.__module__.rpartition(".")[2]


SCENARIOS: list[Scenario] = []
RESUMES = "the same command run again ends with the bytes of an uninterrupted one"
CLEAR = "exit code 2 and one line that names the folder"


def scenario(
    name: str, promised: str, *, quick: bool = False
) -> Callable[[Callable[[Lab], Verdict]], Callable[[Lab], Verdict]]:
    """Enter a function in the list of scenarios."""

    def enter(run: Callable[[Lab], Verdict]) -> Callable[[Lab], Verdict]:
        SCENARIOS.append(Scenario(name, promised, quick, run))
        return run

    return enter
