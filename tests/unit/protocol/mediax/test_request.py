from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.protocol.exchange import JsonObject
from airflow_provider_mediax.protocol.mediax.capabilities import Capability
from airflow_provider_mediax.protocol.mediax.capabilities.listening import MusicAsr, MusicBeat, MusicTag
from airflow_provider_mediax.protocol.mediax.capabilities.making import (
    MusicCompose,
    SingingCloning,
    TextBgm,
    VoiceCloning,
)
from airflow_provider_mediax.protocol.mediax.request import CapabilityRequest, MediaxInput, RawRequest, Repository
from tests.unit.protocol.examples import REPOSITORY, example
from tests.unit.protocol.helpers import wired

URL = "https://example.com/a.mp3"
SPEAK = VoiceCloning(task="generate", model_name="default")
RAW_OUTPUT = {"inputSelectors": [0], "smartContentDescriptor": {"musicTagV2": {"tagType": ["all"]}}}


def request(capability: Any = None, **options: Any) -> CapabilityRequest:
    given = {"url": URL} if "url" not in options and "path" not in options else {}
    inputs = given | {name: options.pop(name) for name in ("url", "path") if name in options}
    return CapabilityRequest(capability=capability or MusicTag(), input=MediaxInput(**inputs), **options)


def test_tag_request_equals_the_documented_one() -> None:
    wanted = example("musicTagV2", "create_request")["createJobRequest"]
    wanted["callback"] = "https://example.com/{callback}"
    url = wanted["inputs"][0]["url"] = "https://example.com/{url}"
    built = request(
        MusicTag(tag_types=["mood", "vocal", "language", "scene", "genre", "bgm"]),
        url=url,
        callback="https://example.com/{callback}",
    )
    assert {"customId": "{customId}", **wired(built, REPOSITORY)} == wanted


def test_lyrics_request_equals_the_documented_one() -> None:
    wanted = example("musicASR", "create_request")["createJobRequest"]
    wanted["callback"] = "https://example.com/{callback}"
    url = wanted["inputs"][0]["url"] = "https://example.com/{url}"
    built = request(MusicAsr(confidence=0.2), url=url, callback="https://example.com/{callback}")
    assert {"customId": "{customId}", **wired(built, REPOSITORY)} == wanted


def test_beat_request_equals_the_documented_one() -> None:
    built = request(MusicBeat(), path="file_path_to_root", destination="/output/musicBeat")
    wanted = example("musicBeat", "create_request")["createJobRequest"]
    assert {"customId": "musicBeat", **wired(built, REPOSITORY)} == wanted


def test_beat_request_with_a_prefix_equals_the_observed_one() -> None:
    beats = MusicBeat(output_type=3, drum_type=4, enlarge_level=4, split_num=None)
    built = wired(request(beats, output_prefix="abc123"), REPOSITORY)
    wanted = example("musicBeat", "observed")["smartContentDescriptor"]
    assert built["outputs"][0]["smartContentDescriptor"] == wanted


def test_files_go_to_a_directory_of_the_jobs_own_unless_one_is_named() -> None:
    assert wired(request(MusicBeat()), REPOSITORY)["outputs"][0]["destination"] == "/mediax/m/"
    named = wired(request(MusicBeat(), destination="/beats"), REPOSITORY)
    assert named["outputs"][0]["destination"] == "/beats"


def test_capability_without_files_names_no_repository_and_no_directory() -> None:
    output = wired(request(MusicTag()), REPOSITORY)["outputs"][0]
    assert output.keys() == {"inputSelectors", "smartContentDescriptor"}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "none"),
        ({"url": ""}, "none"),
        ({"url": URL, "path": "a.mp3"}, "url and path"),
        ({"url": URL, "source_data": "la"}, "url and source_data"),
        ({"url": URL, "path": "a.mp3", "source_data": "la"}, "url and path and source_data"),
    ],
)
def test_exactly_one_input_is_taken(given: dict[str, str], named: str) -> None:
    with pytest.raises(BadRequest, match=f"^Give exactly one of url.* and .*; got {named}"):
        MediaxInput(**given)


@pytest.mark.parametrize(
    ("given", "wire"),
    [
        ({"url": URL}, {"url": URL}),
        ({"url": "HTTP://example.com/a?x=1#f"}, {"url": "HTTP://example.com/a?x=1#f"}),
        ({"url": URL, "path": ""}, {"url": URL}),
        ({"path": "in/a.mp3"}, {"source": {"contentId": "tmpContentId", "path": "in/a.mp3"}}),
        ({"path": "in/a.mp3", "url": ""}, {"source": {"contentId": "tmpContentId", "path": "in/a.mp3"}}),
        ({"url": "cos://music-1250000000/in/ä b.mp3"}, {"source": {"contentId": "tmpContentId", "path": "in/ä b.mp3"}}),
        ({"source_data": "la la"}, {"sourceData": "la la"}),
        ({"source_data": "la la", "path": "", "url": ""}, {"sourceData": "la la"}),
    ],
)
def test_input_is_sent_in_the_form_the_reference_has_for_it(given: dict[str, str], wire: dict[str, Any]) -> None:
    assert MediaxInput(**given).wire(REPOSITORY) == wire


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("file:///etc/passwd", "must begin with http://, https:// or cos://"),
        ("ftp://example.com/a", "must begin with"),
        ("s3://bucket/key", "must begin with"),
        ("a.mp3", "must begin with"),
        ("//example.com/a", "must begin with"),
        ("https:///a.mp3", "must begin with"),
        ("http://[bad/a.mp3", "must begin with"),
        ("https://℀.com/a.mp3", "must begin with"),
        ("cos://", "must read cos://bucket/key"),
        ("cos://bucket", "must read cos://bucket/key"),
        ("cos://bucket/", "must read cos://bucket/key"),
        ("cos:///key", "must read cos://bucket/key"),
        ("COS://bucket/key", "must read cos://bucket/key"),
    ],
)
def test_address_that_nothing_can_be_downloaded_from_is_refused(url: str, rule: str) -> None:
    with pytest.raises(BadRequest, match=f"^url=.* is refused: it {rule}"):
        MediaxInput(url=url)


@pytest.mark.parametrize("url", ["ftp://user:5e7@host/a?sig=5e7", "ftp://[5e7@bad/a?sig=5e7", "x?sig=5e7"])
def test_refused_address_does_not_show_what_signs_it(url: str) -> None:
    with pytest.raises(BadRequest) as refused:
        MediaxInput(url=url)
    assert "5e7" not in str(refused.value)


@pytest.mark.parametrize(
    "repository", [Repository(), Repository(content_id="c"), Repository(content_id="c", bucket="b")]
)
def test_cos_address_outside_the_registered_bucket_needs_keys_to_sign_with(repository: Repository) -> None:
    with pytest.raises(BadRequest, match=r"^url='cos://other-1/a.mp3' is refused: .*needs cos_region, cos_secret_id"):
        MediaxInput(url="cos://other-1/a.mp3").wire(repository)


@pytest.mark.parametrize("address", ["cos://mine@music-1250000000/a b", "cos://mine@/music-1250000000/a b"])
def test_the_id_of_this_connection_in_an_address_makes_no_other_job(address: str) -> None:
    plain = request(url="cos://music-1250000000/a b")
    named = request(url=address)
    assert fingerprint(named) == fingerprint(plain)
    mine = replace(REPOSITORY, conn_id="mine")
    assert wired(named, mine) == wired(plain, mine) == wired(plain, REPOSITORY)


@pytest.mark.parametrize("conn_id", [None, "theirs"])
def test_an_address_of_another_connection_is_refused_when_it_is_to_be_sent(conn_id: str | None) -> None:
    with pytest.raises(BadRequest, match=r"^url='cos://music-1250000000/a' is refused: it names the connection mine"):
        wired(request(url="cos://mine@music-1250000000/a"), replace(REPOSITORY, conn_id=conn_id))


def test_a_path_object_is_an_address_by_its_text() -> None:
    class Path:
        def __str__(self) -> str:
            return "cos://music-1250000000/a"

    assert request(url=Path()).identity()["url"] == "cos://music-1250000000/a"


def test_cos_address_outside_the_registered_bucket_gets_a_passing_address() -> None:
    repository = Repository(content_id="c", bucket="b-1", presign=lambda address: f"https://signed/{address.key}?sig=1")
    given = MediaxInput(url="cos://other-1/a.mp3")
    assert given.wire(repository) == {"url": "https://signed/a.mp3?sig=1"}
    assert given.identity() == {"url": "cos://other-1/a.mp3"}
    assert MediaxInput(url="cos://b-1/a.mp3").wire(repository) == {"source": {"contentId": "c", "path": "a.mp3"}}


@pytest.mark.parametrize("given", [{"path": "a.mp3"}, {"url": "cos://b-1/a.mp3"}])
def test_input_in_a_repository_needs_one(given: dict[str, str]) -> None:
    with pytest.raises(BadRequest, match=r"^content_id=None is refused: .*set content_id"):
        MediaxInput(**given).wire(Repository(bucket="b-1"))


def test_results_that_are_files_need_a_repository() -> None:
    with pytest.raises(BadRequest, match=r"^content_id=None is refused: the result files need a repository"):
        wired(request(MusicBeat()), Repository())


def test_own_repository_replaces_the_connections_with_its_bucket() -> None:
    mine = Repository(content_id="mine", bucket="mine-1")
    built = wired(request(MusicBeat(), url="cos://mine-1/a.mp3", content_id="mine"), mine)
    assert built["inputs"] == [{"source": {"contentId": "mine", "path": "a.mp3"}}]
    assert built["outputs"][0]["contentId"] == "mine"
    with pytest.raises(BadRequest, match="registered bucket"):
        wired(request(MusicBeat(), url="cos://music-1250000000/a.mp3", content_id="mine"), mine)


def test_naming_the_connections_own_repository_changes_nothing() -> None:
    url = "cos://music-1250000000/a.mp3"
    named = request(MusicBeat(), url=url, content_id="tmpContentId")
    assert wired(named, REPOSITORY) == wired(request(MusicBeat(), url=url), REPOSITORY)


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"output_prefix": "p"}, "output_prefix='p' is refused: musicTagV2 knows no prefix"),
        ({"capability": MusicBeat(), "output_prefix": "x" * 20}, "output_prefix='x{20}' is refused: .*shorter than 20"),
        ({"capability": MusicBeat(), "output_prefix": ""}, "output_prefix='' is refused: "),
        ({"destination": "/out"}, "destination='/out' is refused: musicTagV2 writes no files"),
        ({"capability": MusicAsr(), "destination": "/out"}, "destination='/out' is refused: musicASR writes no files"),
        ({"job_timeout": 0}, "job_timeout=0 is refused: it must be a positive number of seconds"),
        ({"job_timeout": -5}, "job_timeout=-5 is refused: "),
        ({"capability": {"musicHighlight": 2}, "extra_parameters": {"a": 1}}, "extra_parameters=.* is refused: "),
        ({"capability": {"musicASR": {}, "musicTagV2": {}}}, "descriptor=.* is refused: it must be one"),
        ({"capability": {"outputPrefix": "a"}}, "descriptor=.* is refused: it must be one"),
    ],
)
def test_options_that_the_capability_does_not_have_are_refused(options: dict[str, Any], refusal: str) -> None:
    with pytest.raises(BadRequest, match=f"^{refusal}"):
        request(**options)


TEXT = MediaxInput(source_data="夏")
FILE = MediaxInput(path="a.mp3")


@pytest.mark.parametrize(
    ("capability", "given", "refusal"),
    [
        (MusicTag(), None, "Give exactly one of url and path; got none"),
        (TextBgm(), None, "Give source_data; got none"),
        ({"vocalScore": {}}, None, "Give exactly one of url and path; got none"),
        (MusicTag(), TEXT, "source_data='夏' is refused: musicTagV2 takes url or path"),
        (TextBgm(), FILE, "path='a.mp3' is refused: textBgmGeneration takes source_data"),
        (MusicCompose(), FILE, "path='a.mp3' is refused: musicCompose takes no input"),
        (MusicCompose(), MediaxInput(url=URL + "?q-signature=5e7"), f"url='{URL}' is refused: musicCompose takes no"),
        (SPEAK, MediaxInput(source_data="x" * 513), "source_data='x+.* is refused: it must have at most 512 char"),
        ({"voiceCloning": {}}, MediaxInput(source_data="x" * 513), "source_data='x+.* is refused: it must have at"),
    ],
)
def test_an_input_that_the_capability_does_not_take_is_refused(capability: Any, given: Any, refusal: str) -> None:
    with pytest.raises(BadRequest, match=f"^{refusal}"):
        CapabilityRequest(capability=capability, input=given)


@pytest.mark.parametrize(
    ("capability", "given"),
    [
        (TextBgm(), TEXT),
        (SPEAK, MediaxInput(source_data="x" * 512)),
        (SPEAK, FILE),
        (MusicCompose(), None),
        ({"musicCompose": {"songQuantity": 1}}, None),
        ({"vocalScore": {}}, TEXT),
        ({"musicTagV2": {}}, TEXT),
    ],
)
def test_an_input_that_the_capability_takes_or_that_nobody_knows_of_passes(capability: Any, given: Any) -> None:
    assert wired(CapabilityRequest(capability=capability, input=given), REPOSITORY)["outputs"]


def test_a_training_names_no_place_and_takes_none() -> None:
    training = SingingCloning(task="train", model_name="a")
    output = wired(CapabilityRequest(capability=training, input=FILE), Repository(content_id="c"))["outputs"][0]
    assert output.keys() == {"inputSelectors", "smartContentDescriptor"}
    with pytest.raises(BadRequest, match=r"^destination="):
        CapabilityRequest(capability=training, input=FILE, destination="/o/")
    with pytest.raises(BadRequest, match=r"^output_prefix="):
        CapabilityRequest(capability=training, input=FILE, output_prefix="p")


def test_raw_arrays_without_inputs_send_none() -> None:
    output = {"smartContentDescriptor": {"musicCompose": {"songQuantity": 1}}}
    assert wired(RawRequest(inputs=[], outputs=[output]), REPOSITORY) == {"outputs": [output]}


@pytest.mark.parametrize("timeout", [0, -1])
def test_raw_request_refuses_a_timeout_that_is_over_already(timeout: int) -> None:
    with pytest.raises(BadRequest, match=f"^job_timeout={timeout} is refused: "):
        RawRequest(inputs=[], outputs=[RAW_OUTPUT], job_timeout=timeout)


def test_prefix_may_have_19_characters() -> None:
    descriptor = request(MusicBeat(), output_prefix="x" * 19).descriptor
    assert descriptor["outputPrefix"] == "x" * 19


def test_extra_parameters_are_merged_last() -> None:
    built = wired(request(MusicTag(), extra_parameters={"tagType": ["new"], "model": 2}), REPOSITORY)
    assert built["outputs"][0]["smartContentDescriptor"] == {"musicTagV2": {"tagType": ["new"], "model": 2}}


def test_raw_descriptor_is_sent_as_it_is() -> None:
    for descriptor in ({"musicHighlight": 2}, {"outputPrefix": "p", "vocalScore": {"a": [1]}}):
        built = request(descriptor)
        output = wired(built, REPOSITORY)["outputs"][0]
        assert output == {"inputSelectors": [0], "smartContentDescriptor": descriptor}
        assert built.capability_name in ("musicHighlight", "vocalScore")


def test_raw_descriptor_writes_files_when_it_is_given_a_place() -> None:
    output = wired(request({"musicSeperate": {"method": 1}}, destination="/stems"), REPOSITORY)["outputs"][0]
    assert (output["contentId"], output["destination"]) == ("tmpContentId", "/stems")


def test_capability_without_input_sends_neither_inputs_nor_selectors() -> None:
    built = CapabilityRequest(capability={"musicCompose": {"songQuantity": 1}}, destination="/o")
    body = wired(built, REPOSITORY)
    assert body.keys() == {"outputs"}
    assert "inputSelectors" not in body["outputs"][0]


def test_raw_arrays_are_sent_untouched() -> None:
    inputs: list[JsonObject] = [{"url": URL}, {"source": {"contentId": "c", "path": "p"}}]
    outputs = [RAW_OUTPUT, {"inputSelectors": [1], "smartContentDescriptor": {"musicASR": {"confidence": 0.2}}}]
    raw = RawRequest(inputs=inputs, outputs=outputs, callback="https://cb.example", job_timeout=5)
    assert raw.capability_name == "musicTagV2,musicASR"
    assert wired(raw, REPOSITORY) == {
        "inputs": inputs,
        "outputs": outputs,
        "callback": "https://cb.example",
        "timeout": 5,
    }


def fingerprint(built: CapabilityRequest | RawRequest) -> str:
    return json.dumps(built.identity(), sort_keys=True)


def test_callback_and_timeout_are_no_part_of_the_identity() -> None:
    assert fingerprint(request(callback="https://cb.example", job_timeout=60)) == fingerprint(request())
    plain = RawRequest(inputs=[{"url": URL}], outputs=[RAW_OUTPUT])
    other = RawRequest(inputs=[{"url": URL}], outputs=[RAW_OUTPUT], callback="https://cb.example", job_timeout=60)
    assert fingerprint(other) == fingerprint(plain)


FAMILIES = [
    "q-sign-algorithm=sha1&q-ak=K&q-signature=K&q-sign-time=K&x-cos-security-token=K&X-Cos-More=K",
    "X-Amz-Signature=K&X-Amz-Date=K&x-amz-security-token=K",
    "X-Goog-Signature=K&X-Goog-Expires=K",
    "x-oss-signature=K&x-oss-date=K",
    "Signature=K&Expires=K&OSSAccessKeyId=K",
    "AWSAccessKeyId=K&Signature=K&Expires=K",
    "sig=K&se=K&sp=K&sv=K&sr=K&st=K&spr=K&sip=K&skoid=K&sktid=K&skt=K&ske=K&sks=K&skv=K",
]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("base", [URL, URL + "?version=7", URL + "?a=1&a=2&empty="])
def test_identity_survives_a_new_signature_of_the_same_url(family: str, base: str) -> None:
    joint = "&" if "?" in base else "?"
    signed = [
        base + joint + written.replace("=K", f"={key}")
        for written in (family, family.upper().replace("=SHA1", "=K"))
        for key in ("old", "n%2Bew")
    ]
    assert {fingerprint(request(url=url)) for url in signed} == {fingerprint(request(url=base))}
    raws = [RawRequest(inputs=[{"url": url}], outputs=[RAW_OUTPUT]) for url in (*signed, base)]
    assert len({fingerprint(raw) for raw in raws}) == 1


ALONE = sorted({part.partition("=")[0] for family in FAMILIES for part in family.split("&")} | {"token", "sign", "key"})


@pytest.mark.parametrize("name", [name for name in ALONE if "-signature" not in name.lower()])
def test_what_only_looks_like_a_part_of_a_signature_tells_two_tracks_apart(name: str) -> None:
    urls = [f"{URL}?{name}=1", f"{URL}?{name}=2", URL]
    assert len({fingerprint(request(url=url)) for url in urls}) == 3
    assert len({fingerprint(RawRequest(inputs=[{"url": url}], outputs=[RAW_OUTPUT])) for url in urls}) == 3


def test_one_familys_signature_takes_no_other_familys_names_away() -> None:
    urls = [f"{URL}?q-signature=x&se={season}&token={token}" for season in "12" for token in "ab"]
    assert len({fingerprint(request(url=url)) for url in urls}) == 4


def test_names_that_are_no_utf8_tell_two_tracks_apart() -> None:
    urls = [f"{URL}?name=%CC%EC", f"{URL}?name=%B5%D8", f"{URL}?name=%E5%A4%A9"]
    assert len({fingerprint(request(url=url)) for url in urls}) == 3


def test_a_new_password_in_the_address_is_no_other_track() -> None:
    assert fingerprint(request(url="https://me:old@h/a")) == fingerprint(request(url="https://me:new@h/a"))
    assert fingerprint(request(url="https://me:old@h/a")) != fingerprint(request(url="https://you:old@h/a"))


def test_identity_survives_another_fragment() -> None:
    assert fingerprint(request(url=URL + "#t=5")) == fingerprint(request(url=URL))


@pytest.mark.parametrize(
    "other",
    [
        {"url": "https://example.com/b.mp3"},
        {"url": "https://example.org/a.mp3"},
        {"url": "http://example.com/a.mp3"},
        {"url": URL + "?version=7"},
        {"url": URL + "?signal=1"},
        {"url": URL + "?tokens=1"},
        {"url": URL + "?service=1"},
        {"path": "a.mp3"},
        {"url": "cos://b-1/a.mp3"},
        {"capability": MusicTag(tag_types="mood")},
        {"capability": MusicAsr()},
        {"capability": MusicBeat()},
        {"extra_parameters": {"model": 2}},
        {"content_id": "other"},
    ],
)
def test_identity_differs_when_the_work_differs(other: dict[str, Any]) -> None:
    assert fingerprint(request(**other)) != fingerprint(request())


@pytest.mark.parametrize("other", [{"destination": "/b"}, {"output_prefix": "p"}, {"destination": None}])
def test_identity_differs_when_the_files_go_elsewhere(other: dict[str, Any]) -> None:
    here: dict[str, Any] = {"capability": MusicBeat(), "destination": "/a"}
    assert fingerprint(request(**here | other)) != fingerprint(request(**here))


def test_identity_of_raw_arrays_differs_with_their_content() -> None:
    base = RawRequest(inputs=[{"url": URL}], outputs=[RAW_OUTPUT])
    others = [
        RawRequest(inputs=[{"url": URL + "?v=2"}], outputs=[RAW_OUTPUT]),
        RawRequest(inputs=[{"url": URL}, {"url": URL}], outputs=[RAW_OUTPUT]),
        RawRequest(inputs=[{"url": URL}], outputs=[{**RAW_OUTPUT, "destination": "/x"}]),
    ]
    assert len({fingerprint(one) for one in (base, *others)}) == 4


def test_identity_of_cos_input_does_not_depend_on_the_connection() -> None:
    built = request(url="cos://music-1250000000/a?b=1#c")
    assert built.identity()["url"] == "cos://music-1250000000/a?b=1#c"


@pytest.mark.parametrize("capability", [MusicTag(), MusicAsr(), MusicBeat()], ids=lambda one: one.name)
def test_identity_is_plain_json(capability: Capability) -> None:
    assert json.loads(fingerprint(request(capability)))["capability"] == capability.name


def test_identity_and_wire_leave_the_users_objects_alone() -> None:
    descriptor = {"musicTagV2": {"tagType": ["all"]}}
    built = request(descriptor, extra_parameters={"x": 1})
    wired(built, REPOSITORY)
    built.identity()
    assert descriptor == {"musicTagV2": {"tagType": ["all"]}}
