"""The command line: one file per command, and what they share."""

from factorflow.cli._app import app, main

__all__ = ["app", "main"]
