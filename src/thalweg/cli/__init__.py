"""The command line: one file a command."""

from thalweg.cli.app import main

__all__ = ["main"]
