"""A voice separation request: what is refused before it costs money, and what goes out."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.protocol.ci.requests import (
    MODES,
    ROLES,
    AudioConfig,
    VoiceSeparationRequest,
    check_audio,
    check_outputs,
)
from tests.unit.protocol.helpers import MARKER, marked, published, request

ALL = {role: f"out/{role}.mp3" for role in ROLES}
TEMPLATE: dict[str, Any] = {"mode": None, "template_id": "t1"}
QUEUE = {"MqRegion": "gz", "MqMode": "Topic", "MqName": "finished"}


def sent(made: VoiceSeparationRequest, marker: str = MARKER, **where: Any) -> ET.Element:
    place = {"bucket": "music-1250000000", "region": "ap-guangzhou", **where}
    return ET.fromstring(marked(made, marker, **place))


def texts(root: ET.Element) -> dict[str, str | None]:
    """Return the text of every leaf by its path."""
    found: dict[str, str | None] = {}

    def walk(element: ET.Element, path: str) -> None:
        for child in element:
            walk(child, f"{path}/{child.tag}" if path else child.tag)
        if not len(element):
            found[path] = element.text

    walk(root, "")
    return found


class TestSent:
    def test_all_four_stems_as_the_reference_has_them(self) -> None:
        made = request(
            source="input/demo.mp3",
            mode="MusicMode",
            audio=AudioConfig(codec="mp3"),
            outputs={role: f"output/{role}.${{ext}}" for role in ROLES},
            output_bucket="test-123456789",
            output_region="ap-chongqing",
            user_data="my data.",
            job_level=0,
        )
        expected = texts(ET.fromstring(published("constructed_musicmode_request.xml")))
        assert texts(sent(made, "This-is")) == {**expected, "Operation/UserData": "This-is my data."}

    def test_parameters_as_the_reference_has_them(self) -> None:
        made = request(
            source="input/demo.mp4",
            mode="AudioAndBackground",
            audio=AudioConfig(codec="mp3", sample_rate=44100, bitrate=500, channels=2),
            outputs={"background": "output/backgroud.${ext}", "voice": "output/audio.${ext}"},
            output_bucket="test-123456789",
            output_region="ap-chongqing",
            user_data="is my data.",
            job_level=0,
            callback="http://callback.demo.com",
            callback_format="JSON",
        )
        expected = texts(ET.fromstring(published("submit_params_request.xml")))
        assert texts(sent(made, "This")) == expected

    def test_a_template_as_the_reference_has_it(self) -> None:
        made = request(
            source="input/demo.mp4",
            mode=None,
            template_id="t1460606b9752148c4ab182f55163ba7cd",
            outputs={"background": "output/backgroud.mp3", "voice": "output/audio.mp3"},
            output_bucket="test-123456789",
            output_region="ap-chongqing",
            user_data="is my data.",
            job_level=0,
            queue_id="p2242ab62c7c94486915508540933a2c6",
            callback="http://callback.demo.com",
            callback_format="JSON",
        )
        assert texts(sent(made, "This")) == texts(ET.fromstring(published("submit_2024_queueid_request.xml")))

    def test_what_is_not_set_is_left_out(self) -> None:
        assert texts(sent(request())) == {
            "Tag": "VoiceSeparate",
            "Input/Object": "in/a.mp3",
            "Operation/VoiceSeparate/AudioMode": "IsAudio",
            "Operation/VoiceSeparate/AudioConfig/Codec": "mp3",
            "Operation/Output/Region": "ap-guangzhou",
            "Operation/Output/Bucket": "music-1250000000",
            "Operation/Output/AuObject": "out/voice.mp3",
            "Operation/UserData": MARKER,
        }

    def test_every_submit_carries_its_marker_first(self) -> None:
        assert texts(sent(request(user_data="and more")))["Operation/UserData"] == f"{MARKER} and more"

    def test_markup_in_values_stays_text(self) -> None:
        key = "in/</Object><Object>&lt;\"'.mp3"
        assert texts(sent(request(source=key)))["Input/Object"] == key

    @given(st.text(max_size=30), st.text(max_size=30))
    def test_any_key_arrives_as_it_is_or_is_refused(self, source: str, voice: str) -> None:
        try:
            root = sent(request(source=source, outputs={"voice": voice}))
        except BadRequest:
            return
        assert root.findtext("Input/Object") == source
        assert root.findtext("Operation/Output/AuObject") == voice

    def test_a_message_queue_always_says_its_mode(self) -> None:
        made = request(callback_type="TDMQ", callback_mq={"MqRegion": "sh", "MqName": "q"})
        assert texts(sent(made))["CallBackMqConfig/MqMode"] == "Queue"

    def test_the_queues_callback_can_be_switched_off(self) -> None:
        assert texts(sent(request(callback="no")))["CallBack"] == "no"


REFUSED: dict[str, dict[str, Any]] = {
    "neither mode nor template": {"mode": None},
    "mode and template": {"template_id": "t1"},
    "an unknown mode": {"mode": "IsDrum"},
    "parameters beside a template": {**TEMPLATE, "audio": AudioConfig()},
    "a template id with a slash": {"mode": None, "template_id": "t/1"},
    "no source": {"source": ""},
    "an address as source": {"source": "https://host/a.mp3?sign=secret"},
    "a cos address as source": {"source": "cos://music-1250000000/a.mp3"},
    "a source from the root": {"source": "/a.mp3"},
    "the bucket as source": {"source": ".."},
    "a folder as source": {"source": "in/"},
    "a control character": {"source": "a\x00.mp3"},
    "a character beyond XML": {"source": "a\ufffe.mp3"},
    "half a character": {"source": "a\ud800.mp3"},
    "a key that is too long": {"source": "é" * 426},
    "no outputs": {"outputs": {}},
    "an unknown stem": {"outputs": {"voice": "a", "guitar": "b"}},
    "an empty output": {"outputs": {"voice": ""}},
    "an unknown wildcard": {"outputs": {"voice": "out/${InputName}.mp3"}},
    "two stems under one key": {"mode": "AudioAndBackground", "outputs": {"voice": "a", "background": "a"}},
    "a missing stem": {"mode": "AudioAndBackground", "outputs": {"voice": "a"}},
    "two missing stems": {"mode": "MusicMode", "outputs": {"voice": "a", "background": "b"}},
    "a stem that the mode does not make": {"outputs": {"voice": "a", "bass": "b"}},
    "drums from a template without voice": {**TEMPLATE, "outputs": {"drum": "a"}},
    "a stem over the source, bucket named": {"outputs": {"voice": "in/a.mp3"}, "output_bucket": "music-1250000000"},
    "amr in music mode": {"mode": "MusicMode", "outputs": ALL, "audio": AudioConfig(codec="amr", sample_rate=8000)},
    "flac in music mode": {"mode": "MusicMode", "outputs": ALL, "audio": AudioConfig(codec="flac")},
    "a rate in music mode": {"mode": "MusicMode", "outputs": ALL, "audio": AudioConfig(sample_rate=44100)},
    "a bitrate in music mode": {"mode": "MusicMode", "outputs": ALL, "audio": AudioConfig(bitrate=128)},
    "channels in music mode": {"mode": "MusicMode", "outputs": ALL, "audio": AudioConfig(channels=2)},
    "a bucket without APPID": {"output_bucket": "music"},
    "a region that is none": {"output_region": "ap guangzhou"},
    "another bucket than the host's": {"bucket": "other-1250000000"},
    "a level above 2": {"job_level": 3},
    "a level that is no number": {"job_level": True},
    "user data beyond ASCII": {"user_data": "é"},
    "user data with a line break": {"user_data": "a\nb"},
    "user data that is too long": {"user_data": "a" * (1024 - len(MARKER))},
    "a callback to nowhere": {"callback": "callback.demo.com"},
    "an unknown format": {"callback_format": "YAML"},
    "an unknown kind of callback": {"callback_type": "Kafka"},
    "TDMQ without a queue": {"callback_type": "TDMQ"},
    "a queue without TDMQ": {"callback_mq": QUEUE},
    "an unknown region of a queue": {"callback_type": "TDMQ", "callback_mq": {**QUEUE, "MqRegion": "xx"}},
    "an unknown mode of a queue": {"callback_type": "TDMQ", "callback_mq": {**QUEUE, "MqMode": "Both"}},
    "a queue without a name": {"callback_type": "TDMQ", "callback_mq": {**QUEUE, "MqName": ""}},
    "an unknown field of a queue": {"callback_type": "TDMQ", "callback_mq": {**QUEUE, "Topic": "x"}},
    "a queue id with a comma": {"queue_id": "p1,p2"},
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_it_is_sent(case: str) -> None:
    with pytest.raises(BadRequest) as refused:
        marked(request(**REFUSED[case]), MARKER, bucket="music-1250000000", region="ap-guangzhou")
    assert re.search("is refused: |^Give exactly one of", refused.value.what)
    assert "secret" not in refused.value.what


def test_user_data_may_fill_what_the_marker_leaves() -> None:
    assert len(texts(sent(request(user_data="a" * (1023 - len(MARKER)))))["Operation/UserData"] or "") == 1024


AUDIO_REFUSED = [
    {"codec": "ogg"},
    {"codec": "acc"},
    {"sample_rate": 12345},
    {"sample_rate": "44100"},
    {"sample_rate": True},
    {"codec": "aac", "sample_rate": 8000},
    {"codec": "flac", "sample_rate": 8000},
    {"codec": "mp3", "sample_rate": 8000},
    {"codec": "mp3", "sample_rate": 96000},
    {"codec": "amr", "sample_rate": 44100},
    {"codec": "amr"},
    {"codec": "amr", "sample_rate": 8000, "channels": 2},
    {"bitrate": 7},
    {"bitrate": 1001},
    {"codec": "mp3", "channels": 3},
    {"codec": "aac", "channels": 3},
    {"codec": "wav", "channels": 0},
]
AUDIO_ACCEPTED = [
    {},
    {"codec": "aac", "sample_rate": 96000, "bitrate": 8, "channels": 8},
    {"codec": "flac", "sample_rate": 11025, "bitrate": 1000, "channels": 6},
    {"codec": "mp3", "sample_rate": 48000, "channels": 1},
    {"codec": "amr", "sample_rate": 8000, "channels": 1},
    {"codec": "wav", "sample_rate": 8000, "channels": 7},
]


@pytest.mark.parametrize("fields", AUDIO_REFUSED, ids=str)
def test_an_encoding_outside_the_tables_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        AudioConfig(**fields)


@pytest.mark.parametrize("fields", AUDIO_ACCEPTED, ids=str)
def test_an_encoding_of_the_tables_passes(fields: dict[str, Any]) -> None:
    check_audio("AudioAndBackground", AudioConfig(**fields))


@pytest.mark.parametrize("codec", ["mp3", "wav", "aac"])
def test_music_mode_takes_three_codecs(codec: str) -> None:
    check_audio("MusicMode", AudioConfig(codec=codec))


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_passes_with_the_stems_it_makes(mode: str) -> None:
    check_outputs(mode, {role: ALL[role] for role in MODES[mode]})


def test_a_stem_more_than_needed_is_the_callers_affair() -> None:
    check_outputs("IsAudio", {"voice": "a", "background": "b"})


def test_outputs_of_a_template_can_be_checked_once_its_mode_is_known() -> None:
    made = request(**TEMPLATE, outputs={"voice": "a"})
    with pytest.raises(BadRequest, match="background"):
        check_outputs("AudioAndBackground", made.outputs)


def test_a_voice_mode_with_only_the_background_name_is_refused_although_a_sample_shows_it() -> None:
    with pytest.raises(BadRequest, match="voice"):
        check_outputs("IsAudio", {"background": "test-trans.mp3"})


def test_no_name_at_all_is_refused_although_a_sample_shows_it() -> None:
    with pytest.raises(BadRequest, match="voice or background"):
        check_outputs(None, {})


@pytest.mark.parametrize("holder", [{"mode": "IsAudio"}, TEMPLATE])
@pytest.mark.parametrize("stem", ["in/a.mp3", "in/a.${ext}"])
def test_a_stem_in_the_place_of_its_source_is_refused(holder: dict[str, Any], stem: str) -> None:
    made = request(source="in/a.mp3", outputs={"voice": stem}, **holder)
    with pytest.raises(BadRequest, match="would overwrite the source"):
        sent(made)
    assert sent(request(source="in/a.mp3", outputs={"voice": stem}, output_bucket="other-1", **holder)) is not None
    assert sent(request(source="in/a.flac", outputs={"voice": stem}, mode="IsAudio")) is not None


class TestIdentity:
    def test_what_only_accompanies_the_job_is_no_part_of_it(self) -> None:
        plain = request().identity()
        passing = request(
            queue_id="p1",
            job_level=2,
            user_data="try 2",
            callback="https://host/path?token=secret",
            callback_format="JSON",
            callback_type="TDMQ",
            callback_mq=QUEUE,
        )
        assert passing.identity() == plain

    @pytest.mark.parametrize(
        "change",
        [
            {"source": "in/b.mp3"},
            {"bucket": "music-1250000000"},
            {"mode": "IsBackground", "outputs": {"background": "a"}},
            {"audio": AudioConfig(codec="wav")},
            {"audio": AudioConfig(bitrate=64)},
            {"outputs": {"voice": "out/other.mp3"}},
            {"output_bucket": "other-1250000000"},
            {"output_region": "ap-beijing"},
            TEMPLATE,
            {"mode": None, "template_id": "t2"},
        ],
        ids=str,
    )
    def test_what_makes_another_job_is_part_of_it(self, change: dict[str, Any]) -> None:
        assert request(**change).identity() != request().identity()

    def test_a_default_spelt_out_is_the_same_job(self) -> None:
        assert request(audio=AudioConfig(codec="mp3")).identity() == request().identity()
