"""The command ``wskan evaluate``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Score a trained model on a split of its own zoo or of another one."""

    run_folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run, written by `wskan train`."""
    zoo: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="ZOO")]
    """Folder of the zoo."""
    split: Literal["train", "val", "test"] = "test"
    """Split to score."""
    align: Path | None = None
    """Folder of the alignment. Needed for a run of `wskan train --align`."""

    def run(self) -> None:
        from rich.console import Console

        from wskan.align import align_zoo
        from wskan.printing import markup
        from wskan.tasks import open_run
        from wskan.zoo import open_zoo

        run, zoo = open_run(self.run_folder), open_zoo(self.zoo)
        if self.align is not None:
            zoo = align_zoo(zoo, self.align, progress=True)
        scores = run.evaluate(zoo, split=self.split)
        text = "  ".join(f"{name} {value:.4g}" for name, value in scores.items())
        Console().print(
            f"{run.task.name} on {len(zoo.split(self.split)):,} {self.split} KANs of {markup(self.zoo)}: "
            f"[bold]{markup(text)}",
            soft_wrap=True,
        )
