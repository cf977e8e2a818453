"""The command line, and what it says of the machine that it runs on."""

from .commands import main

__all__ = ["main"]
