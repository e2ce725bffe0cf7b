"""The command line."""

from wskan.cli.main import main

__all__ = ["main"]
