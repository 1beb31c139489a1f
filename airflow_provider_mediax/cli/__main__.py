"""The console script ``airflow-mediax``: the commands of ``airflow mediax`` where Airflow has no provider commands."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from airflow.cli.cli_config import ActionCommand, CLICommand

from airflow_provider_mediax.cli.definition import get_commands


def main(arguments: Sequence[str] | None = None) -> None:
    """
    Run a command.

    :param arguments: of the command line; default: those of the process.
    :raises SystemExit: with the command's exit code.
    """
    parser = argparse.ArgumentParser(prog="airflow-mediax")
    for group in get_commands():
        _add(parser, group)
    options = parser.parse_args(arguments)
    _log_to_stderr()
    options.func(options)


def _add(parser: argparse.ArgumentParser, command: CLICommand) -> None:
    """Let a parser take a command, or the commands of a group, as Airflow's own parser does."""
    parser.description = command.description or command.help
    if isinstance(command, ActionCommand):
        for argument in command.args:
            argument.add_to_parser(parser)
        parser.set_defaults(func=command.func)
    else:
        parsers = parser.add_subparsers(metavar="COMMAND", required=True)
        for below in command.subcommands:
            _add(parsers.add_parser(below.name, help=below.help), below)


def _log_to_stderr() -> None:
    """Keep log lines out of what is printed for programs, as ``airflow`` does for its commands."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
            handler.setStream(sys.stderr)


if __name__ == "__main__":
    main()
