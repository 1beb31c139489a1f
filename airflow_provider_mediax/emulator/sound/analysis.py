"""
Decoding and beat tracking. Runs in child processes only: importing librosa compiles for up to a minute.

The decoding part needs only soundfile, so it is ready at once; librosa is imported where beats are asked for.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import connection, parent_process
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]
    Times = NDArray[np.float64]

TRACKING_RATE = 22050
"""Hz at which beats are tracked; the marked file keeps the rate of the input."""


class NotAudio(Exception):
    """The bytes cannot be decoded as audio."""


@dataclass(frozen=True, slots=True)
class Beats:
    """
    What was found in a track.

    :param tempo: beats per minute, 0 without beats.
    :param times: seconds from the start.
    :param duration: seconds.
    :param marked: WAV file of the track with a click on every beat.
    """

    tempo: float
    times: list[float]
    duration: float
    marked: bytes = field(repr=False)

    def as_json(self) -> bytes:
        """Return the content of the beat file."""
        return json.dumps({"tempo": self.tempo, "beats": self.times, "duration": self.duration}).encode()


def live_with_parent() -> None:
    """Set the child up to end as soon as its parent is gone, however that came about, and to leave Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is None:
        return

    def follow(sentinel: int) -> None:
        connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=follow, args=(parent.sentinel,), name="follow-parent", daemon=True).start()


def warm_up_decoder() -> None:
    """Load what decoding needs."""
    import soundfile  # noqa: F401


def warm_up_tracker() -> None:
    """
    Load and compile what beat tracking needs, by tracking one second of clicks.

    One emulator at a time: two that compile into the same installation at once can leave code there that crashes
    every process that loads it.
    """
    import numpy as np
    import soundfile

    samples = np.zeros(TRACKING_RATE, dtype=np.float32)
    samples[:: TRACKING_RATE // 4] = 1.0
    track = io.BytesIO()
    soundfile.write(track, samples, TRACKING_RATE, format="WAV")
    with alone_in_this_installation():
        find_beats(track.getvalue(), 3)


@contextlib.contextmanager
def alone_in_this_installation() -> Iterator[None]:
    """Hold a lock that all processes of one Python installation share; it ends with the process, however that dies."""
    name = f"airflow-mediax-emulator-{os.getuid()}-{hashlib.sha256(sys.prefix.encode()).hexdigest()[:16]}.lock"
    with open(os.path.join(tempfile.gettempdir(), name), "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def duration_of(data: bytes) -> float:
    """
    Return the length of an audio file in seconds.

    :raises NotAudio: it is none.
    """
    import soundfile

    try:
        seconds = float(soundfile.info(io.BytesIO(data)).duration)
    except soundfile.SoundFileError:
        samples, rate = _decode_with_system(data)
        seconds = len(samples) / rate
    if seconds <= 0:
        raise NotAudio("the input holds no audio")
    return seconds


def find_beats(data: bytes, loudness: int) -> Beats:
    """
    Track the beats of an audio file and mark them with clicks.

    :param loudness: of the clicks, 1 to 6.
    :raises NotAudio: it is none.
    """
    import librosa
    import numpy as np
    import soundfile

    samples, rate = decode(data)
    mono = samples.mean(axis=1, dtype=np.float32)
    if rate != TRACKING_RATE:
        mono = librosa.resample(mono, orig_sr=rate, target_sr=TRACKING_RATE)
    try:
        times = _track(mono, TRACKING_RATE)
    except librosa.ParameterError as error:  # shorter than a frame, or samples that are no numbers
        raise NotAudio(f"the input cannot be listened to: {error}") from None
    times = times[times < len(samples) / rate]
    clicks = librosa.clicks(times=times, sr=rate, length=len(samples), click_duration=0.05)
    mixed = np.clip(0.7 * samples + (loudness / 6) * clicks[:, np.newaxis], -1.0, 1.0)
    marked = io.BytesIO()
    soundfile.write(marked, mixed, rate, format="WAV", subtype="PCM_16")
    return Beats(
        tempo=round(fit_tempo(times), 3),
        times=[round(float(time), 4) for time in times],
        duration=round(len(samples) / rate, 4),
        marked=marked.getvalue(),
    )


def fit_tempo(times: Times) -> float:
    """
    Return beats per minute: the slope of a line through beat times over beat numbers.

    A tracker's own tempo is as coarse as its frames; over a whole track the line averages that out. Skipped and
    doubled beats are counted by the typical interval, and beats far from the line are left out of the second fit.

    :param times: seconds, ascending; fewer than two give 0.
    """
    import numpy as np

    if len(times) < 2:
        return 0.0
    intervals = np.diff(times)
    typical = float(np.median(intervals))
    numbers = np.concatenate(([0.0], np.cumsum(np.round(intervals / typical))))
    slope, start = np.polyfit(numbers, times, 1)
    near = np.abs(times - (start + slope * numbers)) < 0.2 * typical
    if np.count_nonzero(near) >= 2 and np.ptp(numbers[near]) > 0:
        slope, _ = np.polyfit(numbers[near], times[near], 1)
    return 60.0 / float(slope)


def _track(mono: Samples, rate: int) -> Times:
    import numpy as np
    from librosa import beat, onset

    envelope = onset.onset_strength(y=mono, sr=rate)
    # With its default trim librosa drops every beat of a track that has exact silence between its notes.
    _, times = beat.beat_track(onset_envelope=envelope, sr=rate, trim=False, units="time")
    return np.asarray(times, dtype=np.float64)


def decode(data: bytes) -> tuple[Samples, int]:
    """
    Return samples (frames by channels) and the rate in Hz.

    :raises NotAudio: the bytes are no audio.
    """
    import soundfile

    try:
        samples, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except soundfile.SoundFileError:
        samples, rate = _decode_with_system(data)
    if not len(samples):
        raise NotAudio("the input holds no audio")
    return samples, int(rate)


def _decode_with_system(data: bytes) -> tuple[Samples, int]:
    """Decode what libsndfile does not know (AAC, for one) with the decoders that are installed on the machine."""
    import audioread  # type: ignore[import-untyped]
    import numpy as np
    from audioread.rawread import RawAudioFile  # type: ignore[import-untyped]

    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        # That one knows less than libsndfile, and leaves a file open that it does not know.
        backends = [backend for backend in audioread.available_backends() if backend is not RawAudioFile]
        try:
            with audioread.audio_open(file.name, backends) as opened:
                rate, channels = opened.samplerate, opened.channels
                pcm = np.frombuffer(b"".join(opened), dtype="<i2")
        except (audioread.DecodeError, EOFError, OSError) as error:
            raise NotAudio(f"the input cannot be decoded as audio ({type(error).__name__})") from None
    return pcm.reshape(-1, channels).astype(np.float32) / np.float32(32768), int(rate)
