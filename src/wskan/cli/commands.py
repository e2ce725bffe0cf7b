"""The parser of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import tyro

from wskan.cli.align import Align
from wskan.cli.evaluate import Evaluate
from wskan.cli.quickstart import Quickstart
from wskan.cli.reproduce import Reproduce
from wskan.cli.train import Train
from wskan.cli.zoo import ZooCommand

Command = (
    Annotated[Quickstart, tyro.conf.subcommand("quickstart", prefix_name=False)]
    | Annotated[ZooCommand, tyro.conf.subcommand("zoo", prefix_name=False)]
    | Annotated[Train, tyro.conf.subcommand("train", prefix_name=False)]
    | Annotated[Reproduce, tyro.conf.subcommand("reproduce", prefix_name=False)]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate", prefix_name=False)]
    | Annotated[Align, tyro.conf.subcommand("align", prefix_name=False)]
)


def parse(args: Sequence[str] | None, description: str | None) -> Command:
    """Parse arguments, by default those of the process.

    Raises:
        SystemExit: the arguments are wrong (code 2), or ask for help.
    """
    return tyro.cli(
        Command,
        prog="wskan",
        description=description,
        args=args,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
    )
