"""Running an emulator until a signal stops it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from aiohttp import web

from airflow_provider_mediax.emulator.app import Emulator
from airflow_provider_mediax.emulator.control import PREFIX, connection_of
from airflow_provider_mediax.emulator.shared.accounts import BUCKET, REGION
from airflow_provider_mediax.emulator.shared.settings import Settings
from airflow_provider_mediax.emulator.shared.world import World
from airflow_provider_mediax.emulator.sound.piece import piece
from airflow_provider_mediax.emulator.sound.pool import Analysis

PIECES = ("in/track.wav", "incoming/track.wav")
"""Keys of the piece of music."""

_GRACE = 0.5  # seconds that open requests get when the emulator ends


async def serve(host: str, port: int, ready_file: Path | None, follow_stdin: bool, settings: Settings) -> None:
    """
    Listen until SIGTERM or SIGINT.

    :param host: a loopback address.
    :param port: 0 takes a free one.
    :param ready_file: where url, cos_endpoint, connection and pid are written once the socket listens.
    :param follow_stdin: also end when standard input is closed, that is, when the process that opened it is gone.
    :param settings: bounds of the emulator.
    :raises OSError: the port is taken.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    if follow_stdin:
        loop.add_reader(sys.stdin.fileno(), _read_end, stopping)
    analysis = Analysis()
    world = World(settings)
    emulator = Emulator(world, analysis)
    runner = web.AppRunner(emulator.application(), access_log=None, shutdown_timeout=_GRACE)
    try:
        if settings.piece:
            await _put_piece(world)
        await runner.setup()
        site = web.TCPSite(runner, host, port)
        await site.start()
        world.url = _url(host, runner)
        if ready_file is not None:
            _write_ready(ready_file, world.url)
        sys.stdout.write(_banner(world.url))
        sys.stdout.flush()
        # After the socket listens: getting ready takes the tracker up to a minute of computing.
        analysis.warm_up()
        await stopping.wait()
    finally:
        # The children first: a shutdown must not wait for an analysis.
        analysis.close()
        await runner.cleanup()


async def _put_piece(world: World) -> None:
    """Put the piece where the example DAGs look for a track."""
    track = await asyncio.to_thread(piece)
    for key in PIECES:
        world.bucket.put(key, track, world.clock.now(), "audio/wav")


def _read_end(stopping: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stopping.set()


def _url(host: str, runner: web.AppRunner) -> str:
    port = runner.addresses[0][1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _write_ready(path: Path, url: str) -> None:
    content = {"url": url, "cos_endpoint": url, "connection": connection_of(url), "pid": os.getpid()}
    partial = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    partial.write_text(json.dumps(content), encoding="utf-8")
    partial.replace(path)


def _banner(url: str) -> str:
    connection = json.dumps(connection_of(url))
    return f"""
  MediaX emulator

    gateway    {url}/job
    COS        {url}   (Host: {BUCKET}.cos.{REGION}.myqcloud.com)
    CI         {url}   (Host: {BUCKET}.ci.{REGION}.myqcloud.com)
    control    {url}{PREFIX}

  The connection for Airflow. Its keys are fake: they open this emulator and nothing else, so they may stay in the
  shell's history. The second line writes it to Airflow's database instead.

export AIRFLOW_CONN_MEDIAX_DEFAULT='{connection}'
curl -s {url}{PREFIX}connection | airflow-mediax connect --file -

  Stop with Ctrl-C.

"""
