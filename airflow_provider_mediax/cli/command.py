"""What every command has in common: exit codes, and errors as sentences on standard error."""

from __future__ import annotations

import functools
import os
import sys
from argparse import Namespace
from collections.abc import Callable
from enum import IntEnum
from getpass import getpass

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_mediax.exceptions import AuthenticationFailed, BadRequest, MediaxError


class Exit(IntEnum):
    """Exit codes, the same for every command; 2 is also what a wrong command line ends with."""

    FINE = 0
    FOUND = 1
    WRONG = 2
    UNSURE = 3


def command(function: Callable[[Namespace], Exit]) -> Callable[[Namespace], None]:
    """Make a command of a function that returns its exit code."""

    @functools.wraps(function)
    def run(args: Namespace) -> None:
        # Connections in the metadata database are found by processes that say so; Airflow's own commands do it too.
        os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
        raise SystemExit(_run(function, args))

    return run


def say(sentence: str) -> None:
    """Tell the user something that is not the result."""
    sys.stderr.write(f"{sentence}\n")


def ask(words: str, *, hidden: bool = False) -> str:
    """
    Ask the person at the terminal for a line.

    :param hidden: show nothing of what is typed.
    :raises EOFError: the person has ended the input.
    """
    if hidden:
        return getpass(f"{words}: ", stream=sys.stderr).strip()
    sys.stderr.write(f"{words}: ")
    sys.stderr.flush()
    if not (line := sys.stdin.readline()):
        raise EOFError
    return line.strip()


def _run(function: Callable[[Namespace], Exit], args: Namespace) -> Exit:
    try:
        return function(args)
    except MediaxError as error:
        say(error.sentences)
        return Exit.WRONG if isinstance(error, (BadRequest, AuthenticationFailed)) else Exit.UNSURE
    except AirflowNotFoundException as error:
        say(f"{error}. Give --conn-id, or make the connection with `airflow-mediax connect`.")
    except SQLAlchemyError as error:
        # Its text may hold a part of the statement or of the address.
        say(
            f"Airflow's metadata database cannot be read ({type(error).__name__}). Run this where `airflow` commands "
            "run, with the same configuration."
        )
    return Exit.WRONG
