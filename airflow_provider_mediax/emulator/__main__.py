"""Command line of the emulator."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import ipaddress
import logging
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from airflow_provider_mediax.emulator.shared.settings import Settings

_EXTRA = ("librosa", "soundfile", "numpy")


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the emulator until a signal stops it; return the exit code.

    :param arguments: of the command line, default those of the process.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.follow_stdin and not stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
        parser.error("--follow-stdin needs a pipe as standard input")
    logging.basicConfig(level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if any(importlib.util.find_spec(name) is None for name in _EXTRA):
        sys.stderr.write("The emulator needs its extra: pip install 'airflow-provider-mediax[emulator]'\n")
        return 2
    # Imported here, because the analysis processes import this module and need none of it.
    from airflow_provider_mediax.emulator.server import serve

    settings = Settings(
        max_records=options.max_records,
        max_object_mib=options.max_object_mib,
        local_network=options.local_network,
        piece=options.piece,
    )
    try:
        asyncio.run(serve(options.host, options.port, options.ready_file, options.follow_stdin, settings))
    except OSError as error:
        sys.stderr.write(f"The emulator cannot listen on {options.host}:{options.port}: {error.strerror or error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="airflow-mediax-emulator",
        description="Stands in for the MediaX gateway, Cloud Infinite and COS on one loopback port.",
    )
    parser.add_argument("--host", type=_loopback, default="127.0.0.1", help="a loopback address (%(default)s)")
    parser.add_argument("--port", type=int, default=8480, help="0 takes a free one (%(default)s)")
    parser.add_argument("--ready-file", type=Path, help="written with address and connection once it listens")
    parser.add_argument("--follow-stdin", action="store_true", help="also stop when the pipe at standard input closes")
    parser.add_argument(
        "--max-records",
        type=_positive,
        default=Settings().max_records,
        help="requests, callbacks, cancels, and jobs of each service that are kept (%(default)s)",
    )
    parser.add_argument(
        "--max-object-mib",
        type=_positive,
        default=Settings().max_object_mib,
        help="MiB of all objects and uploaded parts; what does not fit is refused (%(default)s)",
    )
    parser.add_argument(
        "--local-network",
        action="store_true",
        help="let inputs and callbacks go to private addresses, not to loopback and public ones alone",
    )
    parser.add_argument("--piece", action="store_true", help="begin with a short piece of music in the bucket")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="warning")
    return parser


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return int(text)


def _loopback(host: str) -> str:
    try:
        if host == "localhost" or ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{host} is not a loopback address; the emulator is not made for a network")


if __name__ == "__main__":
    sys.exit(main())
