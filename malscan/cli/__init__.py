"""The command line: options, exit codes and messages; what they do is in the package above."""

from malscan.cli.app import main

__all__ = ["main"]
