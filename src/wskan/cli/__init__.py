"""Command line: ``wskan`` and its subcommands."""

from wskan.cli.main import main

__all__ = ["main"]
