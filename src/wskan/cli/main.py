"""``wskan``: parse, run, and turn every error that was raised on purpose into one clear line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import tyro

from wskan.cli.align import Align
from wskan.cli.evaluate import Evaluate
from wskan.cli.quickstart import Quickstart
from wskan.cli.reproduce import Reproduce
from wskan.cli.train import Train
from wskan.cli.zoo import ZooCommand
from wskan.errors import WSKANError
from wskan.files import plainly

Command = (
    Annotated[Quickstart, tyro.conf.subcommand("quickstart", prefix_name=False)]
    | Annotated[ZooCommand, tyro.conf.subcommand("zoo", prefix_name=False)]
    | Annotated[Train, tyro.conf.subcommand("train", prefix_name=False)]
    | Annotated[Reproduce, tyro.conf.subcommand("reproduce", prefix_name=False)]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate", prefix_name=False)]
    | Annotated[Align, tyro.conf.subcommand("align", prefix_name=False)]
)


def main(args: Sequence[str] | None = None) -> None:
    """Learn from the weights of Kolmogorov-Arnold networks."""
    command = tyro.cli(
        Command,
        prog="wskan",
        description=main.__doc__,
        args=args,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
    )
    try:
        command.run()
    except WSKANError as error:
        print(f"wskan: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"wskan: {plainly(error)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("wskan: interrupted; what is finished is kept, and the same command goes on from there", file=sys.stderr)
        sys.exit(130)
