"""What a report says, read from manifests."""

from __future__ import annotations

import pytest

from airflow_provider_mediax.report.facts import BeatGrid, Part, Tag, Track, read_beats, tracks_of
from airflow_provider_mediax.results import rows
from tests.unit.report.manifests import TRACK, failed, lyrics, manifest, tags


def read(*manifests: dict[str, object]) -> list[Track]:
    return tracks_of(manifests, rows)


def test_the_jobs_of_one_input_are_one_track() -> None:
    highlights = manifest("musicHighlight", {"highlights": [{"start": 7.0, "end": 11.0, "score": 0.9}]}, 3)
    sections = [{"label": "intro", "startTime": "0", "endTime": "2.4"}]
    structure = manifest("musicStructureAnalysis", {"musicStructureAnalysis": sections}, 4)
    (track,) = read(tags(), lyrics("one", "two"), highlights, structure)
    assert (track.name, track.address) == ("song.wav", TRACK)
    assert track.tags == [Tag("mood", "Exciting", 0.2953)]
    assert track.lyrics == [Part(0.0, 1.5, "one"), Part(2.0, 3.5, "two")]
    assert track.choruses == [Part(7.0, 11.0, "chorus")]
    assert track.sections == [Part(0.0, 2.4, "intro")]
    assert [work.capability for work in track.works] == [
        "musicTagV2",
        "musicASR",
        "musicHighlight",
        "musicStructureAnalysis",
    ]


def test_what_was_found_in_a_stem_belongs_to_its_track() -> None:
    voice = "cos://music-1250000000/stems/voice.wav"
    stems = manifest("VoiceSeparate", {"stems": {"voice": voice}}, 1, service="cloud_infinite", files=[voice])
    (track,) = read({**stems, "state": "Success"}, tags(2, input=voice))
    assert track.stems == {"voice": voice}
    assert track.tags == [Tag("voice.wav: mood", "Exciting", 0.2953)]


def test_a_job_says_how_long_it_queued_and_took() -> None:
    (track,) = read(tags(reattached=True))
    (work,) = track.works
    assert (work.queued, work.took, work.adopted, work.failed) == (3.0, 26.0, True, False)
    assert work.created_at == "2026-11-21 03:04:05 UTC"


@pytest.mark.parametrize("moment", [None, "soon", 7, "2026-11-21"])
def test_a_job_without_readable_times_has_none(moment: object) -> None:
    (track,) = read(tags(created_at=moment, started_at=None, completed_at=None))
    assert (track.works[0].queued, track.works[0].took) == (None, None)


def test_a_failed_job_says_why() -> None:
    one, two = read(failed(1, "it is too short", input="a"), failed(2, input="b"))
    assert (one.failed, one.works[0].why) == (True, "it is too short")
    assert two.works[0].why == "ended as ERROR"


def test_texts_are_lines_without_signatures_or_control_characters() -> None:
    (track,) = read(tags(mood="a\n\x00b", input="https://u:pw@example.com/a.wav?q-signature=1"))
    assert track.address == "https://example.com/a.wav"
    assert track.tags[0].label == "a ?b"


@pytest.mark.parametrize(
    ("content", "beats"),
    [
        (b'{"tempo": 112.5, "beats": [1, 0.5, "2", null, -1, "x"]}', BeatGrid(112.5, [0.5, 1.0, 2.0])),
        (b'{"tempo": 0, "beats": {}}', BeatGrid(None, [])),
        (b"[]", None),
        (b"\xff", None),
    ],
)
def test_a_file_of_beats_is_read_as_far_as_it_can_be(content: bytes, beats: BeatGrid | None) -> None:
    assert read_beats(content) == beats
