"""
Files that are what their names say, made without any library: sound that decodes, notes that open, JSON that parses.

Nothing in them has to do with the input; they are as short as such a file can reasonably be.
"""

from __future__ import annotations

import io
import json
import math
import struct
import wave
from array import array
from functools import cache

RATE = 22050
"""Hz of the WAV files."""

_SECONDS = 2.0
_SCALE = (60, 62, 64, 65, 67, 69, 71, 72)  # MIDI numbers
_TICKS = 480  # of a quarter note, which at MIDI's own tempo is half a second

# One frame of MPEG-1 Layer III: 44.1 kHz, 128 kbit/s, mono, no padding. Without any side information it is silent.
_MP3_FRAME = b"\xff\xfb\x90\xc4" + bytes(413)
_MP3_FRAME_SAMPLES = 1152
_MP3_RATE = 44100


@cache
def file_of(extension: str) -> tuple[bytes, str]:
    """
    Return a valid file and its content type.

    :param extension: ``wav``, ``mp3``, ``mid``, ``json`` or ``mp4``. An ``mp4`` has sound but no picture.
    """
    match extension:
        case "wav":
            return tone(_SECONDS), "audio/wav"
        case "mp3":
            return _mp3(), "audio/mpeg"
        case "mid":
            return _midi(), "audio/midi"
        case "json":
            return json.dumps({"notes": _notes()}).encode(), "application/json"
        case "mp4":
            return _mp4(), "video/mp4"
    raise ValueError(f"no file of kind {extension!r}")


def tone(seconds: float, loudness: float = 0.3) -> bytes:
    """
    Return a WAV file with one tone.

    :param loudness: 0 to 1; 0 is silence.
    """
    step = 2 * math.pi * 440 / RATE
    amplitude = int(32767 * loudness)
    samples = array("h", (int(amplitude * math.sin(step * place)) for place in range(int(seconds * RATE))))
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(samples.tobytes())
    return file.getvalue()


def _mp3() -> bytes:
    return _MP3_FRAME * _mp3_frames()


def _mp3_frames() -> int:
    return math.ceil(_SECONDS * _MP3_RATE / _MP3_FRAME_SAMPLES)


def _notes() -> list[dict[str, float]]:
    return [{"pitch": pitch, "start": place * 0.5, "end": place * 0.5 + 0.5} for place, pitch in enumerate(_SCALE)]


def _midi() -> bytes:
    """Return a MIDI file of one track."""
    events = b"".join(
        bytes((0, 0x90, pitch, 64)) + bytes((0x80 | _TICKS >> 7, _TICKS & 0x7F, 0x80, pitch, 0)) for pitch in _SCALE
    )
    track = events + b"\x00\xff\x2f\x00"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, _TICKS) + b"MTrk" + struct.pack(">I", len(track)) + track


def _mp4() -> bytes:
    """Return an MP4 file with one track, the silence of :func:`_mp3`."""
    frames, head = _mp3_frames(), _box(b"ftyp", b"isom", struct.pack(">I", 512), b"isommp41")
    # The place of the sound in the file is after the boxes that name it, whose length does not depend on it.
    length = len(head) + len(_moov(frames, 0)) + 8
    return head + _moov(frames, length) + _box(b"mdat", _mp3())


def _moov(frames: int, sound_at: int) -> bytes:
    duration = frames * _MP3_FRAME_SAMPLES
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    times = struct.pack(">4I", 0, 0, _MP3_RATE, duration)  # created, modified, ticks per second, ticks
    decoder = _descriptor(4, b"\x6b\x15" + bytes(3) + struct.pack(">2I", 128000, 128000))  # 0x6B: MPEG-1 audio
    stream = _box(b"esds", bytes(4), _descriptor(3, b"\x00\x01\x00" + decoder + _descriptor(6, b"\x02")))
    entry = _box(b"mp4a", bytes(6), struct.pack(">H8x4HI", 1, 1, 16, 0, 0, _MP3_RATE << 16), stream)
    table = _box(
        b"stbl",
        _box(b"stsd", struct.pack(">2I", 0, 1), entry),
        _box(b"stts", struct.pack(">4I", 0, 1, frames, _MP3_FRAME_SAMPLES)),
        _box(b"stsc", struct.pack(">5I", 0, 1, 1, frames, 1)),
        _box(b"stsz", struct.pack(">3I", 0, len(_MP3_FRAME), frames)),
        _box(b"stco", struct.pack(">3I", 0, 1, sound_at)),
    )
    source = _box(b"dinf", _box(b"dref", struct.pack(">2I", 0, 1), _box(b"url ", struct.pack(">I", 1))))
    media = _box(
        b"mdia",
        _box(b"mdhd", bytes(4), times, struct.pack(">2H", 0x55C4, 0)),  # language: undetermined
        _box(b"hdlr", bytes(8), b"soun", bytes(13)),
        _box(b"minf", _box(b"smhd", bytes(8)), source, table),
    )
    shown = struct.pack(">6I8x4H", 3, 0, 0, 1, 0, duration, 0, 0, 0x100, 0)
    track = _box(b"trak", _box(b"tkhd", shown, matrix, bytes(8)), media)
    whole = _box(b"mvhd", bytes(4), times, struct.pack(">IH10x", 0x10000, 0x100), matrix, bytes(24), b"\0\0\0\2")
    return _box(b"moov", whole, track)


def _box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I", 8 + len(content)) + kind + content


def _descriptor(tag: int, content: bytes) -> bytes:
    return bytes((tag, len(content))) + content
