"""The command line."""

from pandq.cli.app import cli, main

__all__ = ["cli", "main"]
