"""What the emulator takes and answers for every capability; asked by a caller that shares no code with the package."""

from __future__ import annotations

import io
import json
import struct
import wave
from collections.abc import Iterator
from typing import Any

import pytest
import soundfile

from airflow_provider_mediax.emulator.mediax.capabilities import ANSWERS
from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.emulator.shared.accounts import CONTENT_ID
from airflow_provider_mediax.emulator.sound import files
from tests.capability_cases import CASES, Case, label
from tests.unit.emulator.helpers import Platform

SOURCE = {"source": {"contentId": CONTENT_ID, "path": "in/track.wav"}}
TEXT = {"sourceData": "你好"}
TAKES_TEXT = {"textBgmGeneration", "voiceCloning"}

by_case = pytest.mark.parametrize("case", CASES, ids=label)


def request(capability: str, parameters: Any, **changes: Any) -> dict[str, Any]:
    """Return a ``createJobRequest`` as the reference has it for this capability."""
    output: dict[str, Any] = {
        "contentId": CONTENT_ID,
        "destination": "/out",
        "smartContentDescriptor": {capability: parameters, **changes.pop("descriptor", {})},
    }
    inputs = {}
    if capability != "musicCompose":
        output["inputSelectors"] = [0]
        inputs = {"inputs": [TEXT if capability in TAKES_TEXT else SOURCE]}
    return {"customId": "marker", **inputs, "outputs": [output | changes.pop("output", {})], **changes}


def refusal(platform: Platform, body: dict[str, Any]) -> str:
    answer = platform.call("CreateJob", body).json()
    assert set(answer) == {"requestId", "errorResponse"}, answer
    return str(answer["errorResponse"]["message"])


def strings(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        value = {str(place): item for place, item in enumerate(value)}
    if isinstance(value, dict):
        for name, item in value.items():
            yield from [(name, item)] if isinstance(item, str) else strings(item)


def check_file(name: str, data: bytes) -> None:
    match name.rpartition(".")[2]:
        case "wav" | "mp3":
            samples, rate = soundfile.read(io.BytesIO(data))
            assert len(samples) / rate > 1
        case "mid":
            assert notes_in(data) == [60, 62, 64, 65, 67, 69, 71, 72]
        case "json":
            assert json.loads(data)
        case "mp4":
            assert sound_of_mp4(data) == files.file_of("mp3")[0]
        case other:
            raise AssertionError(f"nobody checks {other}")


def notes_in(data: bytes) -> list[int]:
    """Read a MIDI file as strictly as this test needs, and return the notes that are struck."""
    head, length, form, tracks, _ = struct.unpack(">4sIHHH", data[:14])
    kind, size = struct.unpack(">4sI", data[14:22])
    assert (head, length, form, tracks, kind, size) == (b"MThd", 6, 0, 1, b"MTrk", len(data) - 22)
    rest, struck = data[22:], []
    while rest:
        while rest[0] & 0x80:  # time before the event
            rest = rest[1:]
        if rest[1] == 0xFF:
            assert rest[1:] == b"\xff\x2f\x00"
            break
        struck += [rest[2]] if rest[1] == 0x90 else []
        rest = rest[4:]
    return struck


def boxes(data: bytes) -> dict[str, bytes]:
    """Return the boxes of an MP4 file or of a box; their lengths must fit exactly."""
    found = {}
    while data:
        length, kind = struct.unpack(">I4s", data[:8])
        assert 8 <= length <= len(data)
        found[kind.decode()] = data[8:length]
        data = data[length:]
    return found


def sound_of_mp4(data: bytes) -> bytes:
    """Return what the only track's chunk table points to, cut into its samples by the table of sizes."""
    top = boxes(data)
    assert list(top) == ["ftyp", "moov", "mdat"]
    tables = boxes(top["moov"])["trak"]
    for name in ("mdia", "minf", "stbl"):
        tables = boxes(tables)[name]
    stbl = boxes(tables)
    assert stbl["stsd"][12:16] == b"mp4a"
    start = struct.unpack(">3I", stbl["stco"])[2]
    _, size, amount = struct.unpack(">3I", stbl["stsz"])
    return data[start : start + size * amount]


@by_case
def test_a_documented_request_ends_in_an_answer_and_files_that_are_what_their_names_say(
    mediax_emulator: MediaxEmulator, platform: Platform, case: Case
) -> None:
    descriptor = {"outputPrefix": "p-"} if ANSWERS[case.name].takes_prefix and case.row.get("file") else {}
    created = platform.call("CreateJob", request(case.name, case.sent, descriptor=descriptor)).json()
    done = platform.finish(created["createJobResponse"]["job"])
    assert done["state"] == 3, done
    result = done["outputs"][0]["smartContentResult"]
    files = [text for name, text in strings(result) if name.endswith(("Name",)) and name != "modelName"]
    assert bool(files) == (case.row.get("file") is not None)
    assert all(file.startswith(descriptor.get("outputPrefix", "")) for file in files)
    assert sorted(f"out/{file}" for file in files) == [
        key for key in mediax_emulator.object_keys() if key != "in/track.wav"
    ]
    for file in files:
        check_file(file, mediax_emulator.get_object(f"out/{file}"))


PARAMETERS = [
    (case.name, case.sent, parameter)
    for case in CASES
    if isinstance(case.sent, dict)
    for parameter in ANSWERS[case.name].rules
]


@pytest.mark.parametrize(("capability", "good", "parameter"), PARAMETERS)
def test_no_parameter_may_be_null(platform: Platform, capability: str, good: dict[str, Any], parameter: str) -> None:
    assert parameter in refusal(platform, request(capability, {**good, parameter: None}))


CLONING = {"type": 1, "modelName": "default"}
WRONG: dict[str, dict[str, Any]] = {
    "highlight as an object": request("musicHighlight", {"musicHighlight": 2}),
    "highlight off": request("musicHighlight", 1),
    "intro true": request("skipMusicIntro", True),
    "structure as a switch": request("musicStructureAnalysis", {"structureAnalysis": 2}),
    "structure without its flag": request("musicStructureAnalysis", {}),
    "no candidate": request("musicRecognition", {"outputNum": 0}),
    "six candidates": request("musicRecognition", {"outputNum": 6}),
    "candidates not named": request("musicRecognition", {}),
    "candidates true": request("musicRecognition", {"outputNum": True}),
    "method by name": request("musicSeperate", {"method": "TWO_STEMS"}),
    "method 4": request("musicSeperate", {"method": 4}),
    "the right spelling": request("musicSeparate", {"method": 1}),
    "stems with a prefix": request("musicSeperate", {"method": 1}, descriptor={"outputPrefix": "p"}),
    "notes without a mode": request("vocalMidi", {}),
    "notes of mode 4": request("vocalMidi", {"mode": 4}),
    "stems without a repository": request("musicSeperate", {"method": 1}, output={"contentId": ""}),
    "composition with inputs": request("musicCompose", {"songQuantity": 1}, inputs=[SOURCE]),
    "composition with selectors": request("musicCompose", {"songQuantity": 1}, output={"inputSelectors": [0]}),
    "composition of no song": request("musicCompose", {"songQuantity": 0}),
    "composition of 101 songs": request("musicCompose", {"songQuantity": 101}),
    "composition without a number": request("musicCompose", {}),
    "composition of genre and tracks": request("musicCompose", {"songQuantity": 1, "songType": 2, "genre": 1}),
    "warm from the large model": request("musicCompose", {"songQuantity": 1, "emotion": 10}),
    "warm picture": request("imageBgmGeneration", {"type": 1, "emotion": 10}),
    "sieve true": request("musicComposerHumming", {"songQuantity": 1, "useSieve": True}),
    "humming as text": request("musicComposerHumming", {"songQuantity": 1}, inputs=[TEXT]),
    "text from a file": request("textBgmGeneration", {}, inputs=[SOURCE]),
    "ten videos": request("videoBgmGeneration", {"bgmNum": 10}),
    "emotion of several tracks": request("videoBgmGeneration", {"mode": 2, "emotion": "auto"}),
    "emotion as a number": request("videoBgmGeneration", {"mode": 1, "emotion": 1}),
    "a voice without a name": request("voiceCloning", {"type": 1}),
    "a voice of an empty name": request("voiceCloning", {**CLONING, "modelName": ""}),
    "a task that is none": request("singingCloning", {**CLONING, "type": 3}),
    "rounds below zero": request("singingCloning", {"type": 2, "modelName": "x", "totalEpoch": -1}),
    "rounds as text": request("voiceCloning", {"type": 2, "modelName": "x", "totalEpoch": "30"}),
    "speech backwards": request("voiceCloning", {**CLONING, "speechRate": -0.1}),
    "a text of 513": request("voiceCloning", CLONING, inputs=[{"sourceData": "x" * 513}]),
    "a voice into nowhere": request("voiceCloning", CLONING, output={"contentId": ""}),
    "a training with a prefix": request(
        "voiceCloning", {"type": 2, "modelName": "x"}, descriptor={"outputPrefix": "p"}
    ),
    "an empty text": request("voiceCloning", CLONING, inputs=[{"sourceData": ""}]),
    "text and address": request("voiceCloning", CLONING, inputs=[{**TEXT, "url": "http://x/y"}]),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_request_is_refused_and_makes_no_job(
    mediax_emulator: MediaxEmulator, platform: Platform, wrong: dict[str, Any]
) -> None:
    assert refusal(platform, wrong)
    assert mediax_emulator.ledger()["jobs"] == []


@pytest.mark.parametrize(
    "capability", ["musicHighlight", "musicStructureAnalysis", "musicRecognition", "skipMusicIntro", "musicSeperate"]
)
def test_what_is_no_audio_ends_in_error(mediax_emulator: MediaxEmulator, platform: Platform, capability: str) -> None:
    mediax_emulator.put_object("in/track.wav", b"no music")
    good = next(case.sent for case in CASES if case.name == capability)
    created = platform.call("CreateJob", request(capability, good)).json()["createJobResponse"]["job"]
    assert platform.finish(created)["state"] == 4


def test_the_silent_piano_is_as_long_as_the_track(mediax_emulator: MediaxEmulator, platform: Platform) -> None:
    created = platform.call("CreateJob", request("musicSeperate", {"method": 3})).json()["createJobResponse"]["job"]
    platform.finish(created)
    samples, rate = soundfile.read(io.BytesIO(mediax_emulator.get_object("out/track_piano.wav")))
    assert (len(samples) / rate, abs(samples).max()) == (4, 0)


def models(platform: Platform, **query: Any) -> Any:
    return platform.call("ListModels", query, path="/music_model").json()


def test_trained_voices_are_listed_and_a_reset_forgets_them(
    mediax_emulator: MediaxEmulator, platform: Platform
) -> None:
    for capability, name in (("singingCloning", "a"), ("voiceCloning", "b"), ("singingCloning", "c")):
        body = request(capability, {"type": 2, "modelName": name}, inputs=[SOURCE])
        platform.finish(platform.call("CreateJob", body).json()["createJobResponse"]["job"])
    listed = models(platform)["listModelsResponse"]
    assert listed["total"] == 3
    assert [set(voice) for voice in listed["models"]] == [{"name", "createdAt"}] * 3
    singing = models(platform, type=2, offset=1, limit=1)["listModelsResponse"]
    assert (singing["total"], [voice["name"] for voice in singing["models"]]) == (2, ["c"])
    mediax_emulator.reset()
    assert models(platform)["listModelsResponse"] == {"total": 0, "models": []}


def test_a_generated_or_failed_cloning_leaves_no_voice(mediax_emulator: MediaxEmulator, platform: Platform) -> None:
    mediax_emulator.outcome("singingCloning", "ERROR")
    for body in (request("singingCloning", {"type": 2, "modelName": "a"}), request("voiceCloning", CLONING)):
        platform.finish(platform.call("CreateJob", body).json()["createJobResponse"]["job"])
    assert models(platform)["listModelsResponse"]["total"] == 0


@pytest.mark.parametrize("query", [{"limit": 101}, {"limit": 0}, {"offset": -1}, {"offset": "0"}, {"type": "2"}])
def test_a_wrong_list_of_voices_is_refused(platform: Platform, query: dict[str, Any]) -> None:
    assert "errorResponse" in models(platform, **query)


def test_each_path_has_its_own_actions(platform: Platform) -> None:
    assert "errorResponse" in platform.call("ListModels", {}).json()
    job = platform.create()
    assert "errorResponse" in platform.call("GetJob", {"id": job["id"]}, path="/music_model").json()
    assert platform.call("ListModels", {}, path="/music_model", **platform.sign(key="wrong")).status_code == 401


@pytest.mark.parametrize("extension", ["wav", "mp3", "mid", "json", "mp4"])
def test_a_generic_file_is_what_its_name_says(extension: str) -> None:
    check_file(f"a.{extension}", files.file_of(extension)[0])


def test_notes_are_written_as_midi_unless_json_is_asked_for(
    mediax_emulator: MediaxEmulator, platform: Platform
) -> None:
    for parameters, name in (({"mode": 1}, "track.mid"), ({"mode": 1, "outputType": 2}, "track.json")):
        body = request("vocalMidi", parameters)
        done = platform.finish(platform.call("CreateJob", body).json()["createJobResponse"]["job"])
        assert done["outputs"][0]["smartContentResult"] == {"vocalMidi": {"fileName": name}}
        check_file(name, mediax_emulator.get_object(f"out/{name}"))


def test_a_tone_is_as_long_as_asked() -> None:
    with wave.open(io.BytesIO(files.tone(1.5))) as sound:
        assert sound.getnframes() / sound.getframerate() == 1.5
