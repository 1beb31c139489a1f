"""
One self-contained HTML page of what jobs have found: for one track what can be seen and heard, for many an overview.

The page fetches nothing, and its policy lets nothing run but its own script and style, which it names by their
digests. All text goes through a template that escapes it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.jobs.ownership import Log
from airflow_provider_mediax.jobs.stored import read_manifest
from airflow_provider_mediax.report.drawing import clock, counted, histogram, time_line
from airflow_provider_mediax.report.facts import Track, read_beats, tracks_of
from airflow_provider_mediax.report.sound import Waveform, media_type, waveform
from airflow_provider_mediax.report.sources import LARGEST_BEATS, Files
from airflow_provider_mediax.results import rows

EMBEDDED = 10 * 1024 * 1024
"""Bytes of sound that a page holds; further files stand there with their addresses."""

LARGEST_SOUND = 200 * 1024 * 1024
"""Bytes of a track whose waveform is drawn."""

MOST_ROWS = 2000
"""Tracks in the table of a page, those with failures first."""

MOST_TEMPOS = 500
"""Tracks of an overview whose beats are read."""

READERS = 8
"""Files of beats that are read side by side."""


@dataclass(frozen=True, slots=True)
class Player:
    """
    A sound to listen to.

    :param source: the sound itself as a ``data:`` address; None if it is too large or cannot be read.
    """

    name: str
    address: str
    source: str | None


def report_page(
    manifests: Sequence[Mapping[str, Any]],
    conn_id: str,
    *,
    audio: str | None = None,
    title: str | None = None,
    log: Log,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> str:
    """
    Return the page.

    :param manifests: what operators, sensors and batches returned.
    :param conn_id: connection of type ``mediax`` that reads files in COS.
    :param audio: address of the sound of a single track; the default is the input, if that lies in COS.
    :raises BadRequest: there is no manifest, or something else among them.
    """
    known = [read_manifest("manifests", manifest) for manifest in manifests]
    if not known:
        raise BadRequest.field("manifests", [], "there must be at least one.")
    tracks = tracks_of(known, lambda manifest: rows(manifest, conn_id))
    sources = Files(conn_id, log)
    try:
        common = {"made": f"{now():%Y-%m-%d %H:%M} UTC"}
        if len(tracks) == 1:
            return _rendered("track.html", **common, **_of_one(tracks[0], sources, audio, title, log))
        return _rendered("catalogue.html", **common, **_of_many(tracks, sources, title))
    finally:
        sources.close()


def _of_one(track: Track, sources: Files, audio: str | None, title: str | None, log: Log) -> dict[str, Any]:
    if track.beats_file is not None and (content := sources.read(track.beats_file, LARGEST_BEATS)) is not None:
        track.beats = read_beats(content)
    main = audio or (track.address if track.address.startswith("cos://") else None)
    content = sources.read(main, LARGEST_SOUND) if main is not None else None
    sound: Waveform | None = None
    if content is not None:
        try:
            sound = waveform(content)
        except BadRequest as error:
            log.warning("The report has no waveform: %s. %s", error.what, error.advice)
    listed = {"The track": main, "With clicks": track.click_track, **track.stems}
    left = EMBEDDED
    players = []
    for name, address in listed.items():
        if address is None:
            continue
        data = content if address == main else sources.read(address, left)
        kind = media_type(address)
        if data is None or kind is None or len(data) > left:
            players.append(Player(name, address, None))
            continue
        left -= len(data)
        players.append(Player(name, address, f"data:{kind};base64,{base64.b64encode(data).decode()}"))
    return {
        "title": title or track.name,
        "track": track,
        "line": time_line(track, sound),
        "players": players,
    }


def _of_many(tracks: list[Track], sources: Files, title: str | None) -> dict[str, Any]:
    _read_tempos(tracks, sources)
    tracks.sort(key=lambda track: not track.failed)
    works = [work for track in tracks for work in track.works]
    charts = {
        "Tempo": histogram((track.beats.tempo for track in tracks if track.beats and track.beats.tempo), "per minute"),
        "Mood": counted(track.label("mood") for track in tracks),
        "Genre": counted(track.label("genre") for track in tracks),
        "Duration of jobs": histogram((work.took for work in works if work.took is not None), "s"),
        "Failures": counted(work.why for work in works),
        "Jobs": counted(work.capability for work in works),
    }
    return {
        "title": title or f"{len(tracks)} tracks",
        "tracks": tracks[:MOST_ROWS],
        "numbers": {
            "tracks": len(tracks),
            "with failures": sum(track.failed for track in tracks),
            "jobs": len(works),
            "new jobs": sum(not work.adopted for work in works),
            "taken over": sum(work.adopted for work in works),
        },
        "left_out": max(0, len(tracks) - MOST_ROWS),
        "charts": {name: bars for name, bars in charts.items() if bars},
    }


def _read_tempos(tracks: Sequence[Track], sources: Files) -> None:
    with_beats = [track for track in tracks if track.beats_file][:MOST_TEMPOS]
    with ThreadPoolExecutor(READERS, thread_name_prefix="beats") as pool:
        contents = pool.map(lambda track: sources.read(track.beats_file or "", LARGEST_BEATS), with_beats)
        for track, content in zip(with_beats, contents, strict=True):
            track.beats = read_beats(content) if content is not None else None


def _rendered(template: str, **values: Any) -> str:
    style, script = _resource("page.css"), _resource("page.js")
    policy = (
        "default-src 'none'; media-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    )
    environment = Environment(
        loader=FunctionLoader(_resource),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clock"] = clock
    return environment.get_template(template).render(policy=policy, style=style, script=script, **values)


def _resource(name: str) -> str:
    return files(f"{__package__}.page").joinpath(name).read_text(encoding="utf-8").strip()


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
