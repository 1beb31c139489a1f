"""Answers that do not depend on the music, in exactly the form in which the platform prints them."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_mediax.emulator.wire import JsonObject

_TAGS = {
    "vocal": {"label": "Vocal", "prob": "1.0000"},
    "language": {"label": "Other", "prob": "0.0817"},
    "mood": {"label": "Exciting", "prob": "0.2953"},
    "genre": {"label": "Zhuang", "prob": "0.7710"},
    "scene": {"label": "Prayer", "prob": "0.8886"},
}

# Text, start and end as shares of the track, confidence.
_LYRICS = (
    ("天空", 0.10, 0.16, "0.8"),
    ("还记得那年的夏天", 0.18, 0.30, "0.95"),
    ("微风吹过了海面", 0.32, 0.43, "0.55"),
    ("啦啦啦", 0.50, 0.60, "0.3"),
    ("Sing with me tonight", 0.64, 0.80, "0.1"),
)


def tags(asked: Sequence[str]) -> JsonObject:
    """
    Answer ``musicTagV2`` like the printed example: misspelt wrapper, no ``bgm`` though asked, ``intensity`` empty.

    :param asked: the ``tagType`` of the request.
    """
    found = {kind: dict(tag) for kind, tag in _TAGS.items() if "all" in asked or kind in asked}
    return {"musigTagV2": {"musicTagV2": {**found, "intensity": {}}}}


def lyrics(confidence: float, duration: float) -> JsonObject:
    """
    Answer ``musicASR``: every member a string, only lines above the confidence.

    :param confidence: 0 to 1.
    :param duration: seconds of the track, which the lines are spread over.
    """
    return {
        "musicASR": [
            {
                "text": text,
                "startTime": f"{start * duration:.1f}",
                "endTime": f"{end * duration:.1f}",
                "conf": certainty,
            }
            for text, start, end, certainty in _LYRICS
            if float(certainty) > confidence
        ]
    }
