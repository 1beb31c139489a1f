"""What a report says: facts of tracks and jobs, read from manifests; every text is one line that a page may show."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from airflow_provider_mediax.protocol.json_body import objects, text
from airflow_provider_mediax.protocol.rows import number
from airflow_provider_mediax.protocol.urls import shown_line, shown_url
from airflow_provider_mediax.results import Row

SUCCEEDED = ("COMPLETED", "Success")
"""The services' words for a job that has done its work."""

CLICKS, BEATS = "mergeFileName", "beatFileName"
"""Members of a beat job's answer: the track with a click on each beat, and the times as JSON."""

MOST_BEATS = 20000
"""BeatGrid that a page draws; an hour has fewer."""


@dataclass(frozen=True, slots=True)
class Part:
    """
    A part of a track.

    :param start: seconds from the start of the track; ``end`` likewise.
    """

    start: float
    end: float
    label: str


@dataclass(frozen=True, slots=True)
class Tag:
    """
    A label of a track.

    :param probability: 0 to 1, None if the platform gave no number.
    """

    dimension: str
    label: str
    probability: float | None


@dataclass(frozen=True, slots=True)
class BeatGrid:
    """
    The beats of a track.

    :param tempo: per minute, None if nobody can tell.
    :param times: seconds from the start.
    """

    tempo: float | None
    times: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """
    A job, as its manifest has it.

    :param queued: seconds from its creation to its start; ``took``, to its end.
    :param why: why it is no success; empty if it is one.
    """

    capability: str
    state: str
    job_id: str
    marker: str
    created_at: str
    adopted: bool
    queued: float | None
    took: float | None
    files: Sequence[str]
    why: str

    @property
    def failed(self) -> bool:
        """Whether it has not done its work."""
        return self.state not in SUCCEEDED


@dataclass(slots=True, kw_only=True)
class Track:
    """
    All that is known of one track.

    :param name: the last part of its address; ``address`` is all of it.
    :param stems: address by role; ``sounds``, of other files to listen to, by what they are.
    :param beats_file: address of the times of the beats.
    """

    name: str
    address: str
    tags: list[Tag] = field(default_factory=list)
    lyrics: list[Part] = field(default_factory=list)
    choruses: list[Part] = field(default_factory=list)
    sections: list[Part] = field(default_factory=list)
    stems: dict[str, str] = field(default_factory=dict)
    click_track: str | None = None
    beats_file: str | None = None
    beats: BeatGrid | None = None
    works: list[Work] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether one of its jobs has not done its work."""
        return any(work.failed for work in self.works)

    def label(self, dimension: str) -> str:
        """Return the label of a dimension; empty if there is none."""
        return next((tag.label for tag in self.tags if tag.dimension == dimension), "")

    @property
    def end(self) -> float:
        """Seconds up to which something is known of the track."""
        spans = (*self.lyrics, *self.choruses, *self.sections)
        return max([span.end for span in spans] + list(self.beats.times if self.beats else ()), default=0.0)


def tracks_of(manifests: Iterable[Mapping[str, Any]], rows_of: Callable[[Mapping[str, Any]], list[Row]]) -> list[Track]:
    """
    Return the tracks that manifests are about, in their order; what was found in a stem belongs to its track.

    :param rows_of: returns the flat rows of a manifest.
    """
    tracks: dict[str, Track] = {}
    owners: dict[str, str] = {}
    for manifest in manifests:
        said = text(manifest.get("input")) or f"job {manifest['job_id']}"
        address = shown_line(shown_url(owners.get(said, said)))
        track = tracks.setdefault(address, Track(name=address.rpartition("/")[2] or address, address=address))
        owners |= {file: owners.get(said, said) for file in manifest.get("files") or ()}
        track.works.append(_work(manifest))
        if not track.works[-1].failed:
            prefix = f"{_line(said.rpartition('/')[2])}: " if said in owners else ""
            for row in rows_of(manifest):
                _take(track, row, prefix)
    return list(tracks.values())


def read_beats(content: bytes) -> BeatGrid | None:
    """Read a file of beats, ``{"tempo": ..., "beats": [...]}``; anything else is None."""
    try:
        said = json.loads(content)
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    listed = said.get("beats")
    read = [number(time) for time in (listed if isinstance(listed, list) else ())[:MOST_BEATS]]
    times = sorted(time for time in read if time is not None and time >= 0)
    tempo = number(said.get("tempo"))
    return BeatGrid(tempo if tempo is not None and tempo > 0 else None, times)


def _take(track: Track, row: Row, prefix: str) -> None:
    """Add what a row says to its track."""
    match row:
        case {"dimension": _, "label": _}:
            tag = Tag(prefix + _line(row["dimension"]), _line(row["label"]), _share(row.get("probability")))
            track.tags.append(tag)
        case {"text": _, "start_s": _} if not prefix:
            _span(track.lyrics, row, _line(row["text"]))
        case {"highlight": _, "start_s": _} if not prefix:
            _span(track.choruses, row, "chorus")
        case {"stem": str(role), "file": str(file)} if not prefix:
            track.stems[_line(role)] = file
        case {"kind": str(kind), "file": str(file)} if kind == CLICKS:
            track.click_track = file
        case {"kind": str(kind), "file": str(file)} if kind == BEATS:
            track.beats_file = file
        case {"capability": "musicStructureAnalysis", "result": str(said)} if not prefix:
            track.sections += _sections(said)


def _span(spans: list[Part], row: Row, label: str) -> None:
    start, end = number(row.get("start_s")), number(row.get("end_s"))
    if start is not None and end is not None and 0 <= start <= end:
        spans.append(Part(start, end, label))


def _sections(said: str) -> list[Part]:
    """Read sections in the form that the emulator gives them; the platform's own form was not seen."""
    try:
        content = json.loads(said)
    except ValueError:
        return []
    sections: list[Part] = []
    for section in objects(content.get("musicStructureAnalysis") if isinstance(content, dict) else None):
        times = {"start_s": section.get("startTime"), "end_s": section.get("endTime")}
        _span(sections, times, _line(section.get("label")))
    return sections


def _work(manifest: Mapping[str, Any]) -> Work:
    moments = [_moment(manifest.get(name)) for name in ("created_at", "started_at", "completed_at")]
    queued, rest = (
        (later - earlier).total_seconds() if earlier and later else None for earlier, later in pairwise(moments)
    )
    whole = (moments[2] - moments[0]).total_seconds() if moments[0] and moments[2] else rest
    state = _line(manifest.get("state"))
    error = manifest.get("error")
    why = error.get("message") or error.get("class") if isinstance(error, Mapping) else error
    return Work(
        capability=_line(manifest["capability"]),
        state=state,
        job_id=_line(manifest["job_id"]),
        marker=_line(manifest.get("marker")),
        created_at=f"{moments[0]:%Y-%m-%d %H:%M:%S} UTC" if moments[0] else "",
        adopted=manifest.get("reattached") is True,
        queued=queued,
        took=whole,
        files=[_line(file) for file in manifest.get("files") or ()],
        why="" if state in SUCCEEDED else _line(why) or f"ended as {state or 'nothing that is known'}",
    )


def _moment(said: object) -> datetime | None:
    try:
        return datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        return None


def _share(value: object) -> float | None:
    found = number(value)
    return None if found is None else min(1.0, max(0.0, found))


def _line(value: object) -> str:
    return shown_line(str(value)) if value is not None else ""
