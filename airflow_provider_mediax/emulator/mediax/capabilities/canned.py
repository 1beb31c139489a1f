"""
Answers that do not depend on the music, in exactly the form in which the platform prints them.

The members of sections, candidates and intros are documented nowhere; those here are the emulator's own.
"""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_mediax.emulator.shared.wire import JsonObject

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

# Start and end as shares of the track, score.
_HIGHLIGHTS = ((0.30, 0.45, "0.93"), (0.70, 0.85, "0.88"))

# Name and end as a share of the track.
_SECTIONS = (("intro", 0.1), ("verse", 0.3), ("chorus", 0.45), ("interlude", 0.5), ("chorus", 0.9), ("outro", 1.0))

_CATALOGUE = ("First Light", "River Road", "Paper Moon", "Slow Train", "Winter Garden")


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


def highlights(duration: float) -> JsonObject:
    """Answer ``musicHighlight`` as the demo site was seen to read it: every member a string."""
    return {
        "musicHighlight": [
            {"start": f"{start * duration:.2f}", "end": f"{end * duration:.2f}", "score": score}
            for start, end, score in _HIGHLIGHTS
        ]
    }


def structure(duration: float) -> JsonObject:
    """Answer ``musicStructureAnalysis`` with sections that follow each other."""
    starts = (0.0, *(end for _, end in _SECTIONS))
    return {
        "musicStructureAnalysis": [
            {"label": label, "startTime": f"{start * duration:.2f}", "endTime": f"{end * duration:.2f}"}
            for start, (label, end) in zip(starts, _SECTIONS, strict=False)
        ]
    }


def candidates(amount: int) -> JsonObject:
    """Answer ``musicRecognition`` with songs that do not exist."""
    return {"musicRecognition": [{"song": song, "artist": "Nobody"} for song in _CATALOGUE[:amount]]}


def intro(duration: float) -> JsonObject:
    """Answer ``skipMusicIntro`` with an eighth of the track."""
    return {"skipMusicIntro": {"endTime": f"{duration / 8:.2f}"}}
