"""Promise 8, field by field and for both services: which texts are refused before they cost money, and which pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.protocol import names
from airflow_provider_mediax.protocol.ci.requests import VoiceSeparationRequest
from airflow_provider_mediax.protocol.mediax.capabilities.listening import MusicBeat, MusicTag
from airflow_provider_mediax.protocol.mediax.capabilities.making import SingingCloning, TextBgm, VideoBgm
from airflow_provider_mediax.protocol.mediax.gateway import Gateway, PlatformKeys
from airflow_provider_mediax.protocol.mediax.request import CapabilityRequest, MediaxInput, RawRequest, Repository
from airflow_provider_mediax.protocol.mediax.service import MediaxService
from tests.unit.protocol.helpers import marked

from .helpers import request as separation

OUTPUT: dict[str, Any] = {"smartContentDescriptor": {"musicTagV2": {}}}
QUEUE = {"MqRegion": "gz", "MqName": "finished"}


PLATFORM = MediaxService(
    Gateway(base_url="http://platform.invalid", platform_keys=PlatformKeys("id", "key")), Repository(content_id="own")
)


def music(**options: Any) -> CapabilityRequest:
    given = {name: options.pop(name) for name in ("url", "path") if name in options} or {"path": "a.mp3"}
    return CapabilityRequest(capability=MusicBeat(), input=MediaxInput(**given), **options)


def text(value: Any) -> CapabilityRequest:
    return CapabilityRequest(capability=TextBgm(), input=MediaxInput(source_data=value))


def raw(**options: Any) -> RawRequest:
    return RawRequest(**{"inputs": [], "outputs": [OUTPUT], **options})


#: How a request with one text of the user's is made, by the name that a refusal has for it.
FIELDS: dict[str, Callable[[Any], object]] = {
    "url": lambda value: music(url=value),
    "path": lambda value: music(path=value),
    "source_data": text,
    "content_id": lambda value: music(content_id=value),
    "destination": lambda value: music(destination=value),
    "output_prefix": lambda value: music(output_prefix=value),
    "cos_bucket": lambda value: replace(PLATFORM, cos_bucket=value).prepare(music(content_id="c")).request,
    "callback": lambda value: music(callback=value),
    "model_name": lambda value: SingingCloning(task="train", model_name=value),
    "emotion": lambda value: VideoBgm(emotion=value),
    "inputs.url": lambda value: raw(inputs=[{"url": value}]),
    "inputs.source.path": lambda value: raw(inputs=[{"source": {"contentId": "c", "path": value}}]),
    "outputs.destination": lambda value: raw(outputs=[{**OUTPUT, "destination": value}]),
    "source": lambda value: separation(source=value),
    "outputs.voice": lambda value: separation(outputs={"voice": value}),
    "bucket": lambda value: separation(bucket=value),
    "output_bucket": lambda value: separation(output_bucket=value),
    "output_region": lambda value: separation(output_region=value),
    "template_id": lambda value: separation(mode=None, template_id=value),
    "queue_id": lambda value: separation(queue_id=value),
    "ci callback": lambda value: separation(callback=value),
    "callback_mq.MqName": lambda value: separation(callback_type="TDMQ", callback_mq={**QUEUE, "MqName": value}),
}
OBJECTS = ("path", "inputs.source.path", "source", "outputs.voice")
FOLDERS = ("destination", "outputs.destination")
BUCKETS = ("cos_bucket", "bucket", "output_bucket")
IDS = ("template_id", "queue_id")
ADDRESSES = ("url", "callback", "ci callback", "inputs.url")
WORDS = ("content_id", "model_name", "emotion", "callback_mq.MqName")

#: Wrong in every field, whatever it is for.
NOWHERE = ["[]", "{}", "None", "nan", "  ", "a\x00b", "a\x1bb", "a\x85b", "a\ud800b"]
#: Wrong in every field whose text stands in one line.
NOT_A_LINE = [" a", "a ", "a\n", "\ta", "a\u3000", "a\nb", "a\tb"]

REFUSED: dict[str, list[Any]] = {name: [*NOWHERE, *([] if name == "source_data" else NOT_A_LINE)] for name in FIELDS}
for name in (*OBJECTS, *FOLDERS):
    REFUSED[name] += ["https://host/a.mp3", "cos://music-1/a.mp3", "COS://music-1/a", "s3://b/a", "file:///a", "\\a"]
    REFUSED[name] += ["..", ".", "../a", "a/../b", "a/..", "./a", "a/./b", "é" * 426]
for name in OBJECTS:
    REFUSED[name] += ["a/", "/", "a//", "[]/"]
for name in ("source", "outputs.voice"):
    REFUSED[name] += ["/a.mp3", "//a.mp3"]
REFUSED["outputs.voice"] += ["a/${InputName}.mp3", "${}", "${"]
REFUSED["output_prefix"] += ["a/b", "/a", "a\\b", "x" * 20]
for name in BUCKETS:
    REFUSED[name] += [
        "music",
        "Music-1250000000",
        "music-",
        "music-1250000000/a",
        "cos://music-1",
        "a.b-1",
        "mu sic-1",
        "x-１",
    ]
for name in IDS:
    REFUSED[name] += ["t/1", "t,1", "t 1", "t?1", "é", "t" * 129]
REFUSED["output_region"] += ["ap guangzhou", "AP-guangzhou", "-ap", "ap/x", "ap.x"]
for name in ADDRESSES:
    REFUSED[name] += [
        "a.mp3",
        "//host/a",
        "ftp://host/a",
        "file:///a",
        "https:///a",
        "https://",
        "http://[x/a",
        "javascript:a",
    ]
    REFUSED[name] += [
        "https://host:port/a",
        "https://host:99999/",
        "https://@/a",
        "https://:80/a",
        "https://℀.com/a",
        "http:host/a",
    ]
for name in ("callback", "ci callback", "inputs.url"):
    REFUSED[name] += ["cos://music-1/a.mp3"]
for name in ("callback", "ci callback"):
    REFUSED[name] += ["https://host/a b", "No"]
REFUSED["callback"] += ["no"]
REFUSED["url"] += [
    *("cos://", "cos://music-1", "cos://music-1/", "cos:///a", "COS://music-1/a", "cos://music/a", "cos://Music-1/a"),
    *("cos://music-1/../a", "cos://music-1/a/", "cos://music-1//a", "cos://music-1/a\n", "cos://mu sic-1/a"),
    *("cos://user@music/a", "cos://music-1250000000:80/a", "cos://music-1/" + "é" * 426),
]
for name in ("content_id", "output_region", "queue_id", *BUCKETS):
    REFUSED[name] += ["", 7, ["a"]]

#: What looks odd and is legal.
ODD_NAMES = [
    *(
        "a..b.mp3",
        "..a",
        "a..",
        "...",
        "[Live] a.mp3",
        "a[0].mp3",
        "[]a",
        "{}.mp3",
        "None.mp3",
        "nan.mp3",
        "none",
        "NaN",
    ),
    *(
        "a b/c d.mp3",
        "a:b.mp3",
        "10:30.mp3",
        "a?b#c%20.mp3",
        "天/空.mp3",
        "é.mp3",
        "🎵.mp3",
        "a//b",
        "~a",
        "a@b",
        "a\\b",
    ),
    *("{{ a }}", "'a'", "<a&b>", "a;b", "a,b", "$a", "é" * 425, "a\u200bb", "http:/a", "a/b://c"),
]
PASSES: dict[str, list[Any]] = {
    **{name: list(ODD_NAMES) for name in (*OBJECTS, *FOLDERS)},
    "url": [
        *(
            "https://h/a",
            "HTTP://h:8080/a?b=c#d",
            "https://u:p@h/a",
            "https://h/a b.mp3",
            "https://天.cn/天",
            "http://[::1]/a",
        ),
        *("https://h", "https://h/../a", "https://h/a/", "https://h/?x=[]&y={}", "http://127.0.0.1:9/gone.mp3"),
        *(f"cos://music-1250000000/{name}" for name in ODD_NAMES if not name.startswith("é" * 9)),
        *("cos://c@music-1/a", "cos://c@/music-1/a", "cos:///music-1/a", "cos://music-1/a@b"),
    ],
    "source_data": ["la\nla\r\n\tla", " la", "a/../b", "https://h", "[a]", "天空", "x" * 5000],
    "content_id": ["tmpContentId", "a b", "天", "a/b"],
    "output_prefix": ["a", "x" * 19, "..", "天" * 19, "a b", "[a]", "a:", "a.b."],
    "cos_bucket": ["music-1", "music-1250000000", "a-b-c-125"],
    "callback": ["https://h/a?token=x", "http://127.0.0.1:8000/done", "https://u:p@h", "https://h/{id}"],
    "model_name": ["default", "my_voice_2", "天"],
    "emotion": ["auto"],
    "inputs.url": ["https://h/a?sig=1", "http://h/a b"],
    "bucket": ["music-1250000000"],
    "output_bucket": ["other-1250000000"],
    "output_region": ["ap-guangzhou", "na-siliconvalley", "ap-guangzhou-2"],
    "template_id": ["t1460606b9752148c4ab182f55163ba7cd", "a_b-C"],
    "queue_id": ["p2242ab62c7c94486915508540933a2c6"],
    "ci callback": ["no", "http://callback.demo.com"],
    "callback_mq.MqName": ["finished", "a b", "天"],
}
PASSES["path"] += ["/a.mp3", "/a/b.mp3"]
PASSES["inputs.source.path"] += ["/a.mp3"]
PASSES["outputs.voice"] += ["a/${ext}", "${jobid}/a.${ext}"]
for name in FOLDERS:
    PASSES[name] += ["/", "/a/", "a/", "/a", "/mediax/mx1-0/"]


def rows(table: dict[str, list[Any]]) -> list[Any]:
    return [pytest.param(name, value, id=f"{name}-{ascii(value)[:40]}") for name in table for value in table[name]]


def test_every_field_stands_in_both_tables() -> None:
    assert REFUSED.keys() == PASSES.keys() == FIELDS.keys()


@pytest.mark.parametrize(("field", "value"), rows(REFUSED))
def test_a_text_that_its_field_does_not_allow_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(BadRequest) as refused:
        FIELDS[field](value)
    assert refused.value.what.startswith(f"{field.removeprefix('ci ')}=")
    assert " is refused: " in refused.value.what
    refused.value.what.encode()


@pytest.mark.parametrize(("field", "value"), rows(PASSES))
def test_an_odd_name_that_is_legal_passes_and_arrives_as_it_is(field: str, value: Any) -> None:
    made = FIELDS[field](value)
    if isinstance(made, VoiceSeparationRequest):
        marked(made, "mx1-0", bucket="music-1250000000", region="ap-guangzhou")
    if isinstance(made, CapabilityRequest) and field != "cos_bucket":
        assert value in [*vars(made).values(), *vars(made.input).values()]


SECRET = "5e7"


WITH_SECRETS = [
    "ftp://user:5e7@host/a?sig=5e7#5e7",
    "ftp://[5e7@bad/a?sig=5e7",
    "https://user:5e7@host:port/a?x=5e7",
    "https://user:5e7/5e7@host/a?x=5e7 ",
    "https://user:5e7@host/a b?x=5e7\n",
    "cos://id:5e7@music/a",
]
PLACES = [(field, address) for field in (*ADDRESSES, *OBJECTS, *FOLDERS) for address in WITH_SECRETS]
PLACES += [(field, "user:5e7@host/..?x=5e7/") for field in ADDRESSES]


@pytest.mark.parametrize(("field", "address"), PLACES)
def test_a_refusal_shows_no_user_password_or_query_of_an_address(field: str, address: str) -> None:
    with pytest.raises(BadRequest) as refused:
        FIELDS[field](address)
    assert SECRET not in refused.value.what


def test_a_refused_object_shows_no_signature_in_it() -> None:
    url = "https://u:5e7@h/a?q-signature=5e7"
    with pytest.raises(BadRequest) as refused:
        raw(inputs=[{"url": url}], outputs=[{"smartContentDescriptor": {}, "from": url}])
    assert SECRET not in refused.value.what


OBJECT_FIELDS: dict[str, Callable[[Any], object]] = {
    "extra_parameters": lambda value: CapabilityRequest(
        capability=MusicTag(), input=MediaxInput(path="a"), extra_parameters=value
    ),
    "descriptor": lambda value: CapabilityRequest(capability={"musicTagV2": value}, input=MediaxInput(path="a")),
    "inputs": lambda value: raw(inputs=[{"url": "https://h/a", "more": value}]),
    "outputs": lambda value: raw(outputs=[{**OUTPUT, "more": value}]),
    "outputs.smartContentDescriptor": lambda value: raw(outputs=[{"smartContentDescriptor": {"musicTagV2": value}}]),
}


def nested(depth: int) -> Any:
    made: Any = 1
    for _ in range(depth):
        made = {"a": [made]}
    return made


@pytest.mark.parametrize("field", OBJECT_FIELDS)
@pytest.mark.parametrize(
    "value",
    [
        {1: 2, "a": 1},
        {"a": {None: 1}},
        {"a": [{"b": {2.5: 1}}]},
        {"a": [{True: 1}]},
        {"a": float("nan")},
        {"a": [1, [float("inf")]]},
        {"a": -float("inf")},
        {"a": "\ud800"},
        {"\udfff": 1},
        {"a": {1, 2}},
        {"a": b"x"},
        {"a": object()},
        {"a": 10**400},
        {"a": 2**63},
        nested(30),
        nested(5000),
    ],
    ids=range(16),
)
def test_what_is_no_json_at_any_depth_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(BadRequest, match=f"^{field.partition('.')[0]}") as refused:
        OBJECT_FIELDS[field](value)
    assert " is refused: " in refused.value.what
    assert len(refused.value.what) < 500


def test_an_object_that_holds_itself_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["a"] = [endless, endless, endless]
    with pytest.raises(BadRequest, match=r"^extra_parameters=.*nested too deep"):
        OBJECT_FIELDS["extra_parameters"](endless)


@pytest.mark.parametrize("field", OBJECT_FIELDS)
def test_json_of_any_shape_passes(field: str) -> None:
    OBJECT_FIELDS[field]({"a": [1, 2.5, True, None, "天\n", (1,), {"": {}}], "b": -(2**63), "c": nested(15)})


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: raw(inputs={"url": "https://h/a"}), "inputs"),
        (lambda: raw(inputs=["https://h/a"]), "inputs"),
        (lambda: raw(inputs=None), "inputs"),
        (lambda: raw(outputs=["x"]), "outputs"),
        (lambda: raw(outputs=[{"smartContentDescriptor": "x"}]), "outputs"),
        (lambda: raw(outputs=[{"smartContentDescriptor": {"": {}}}]), "outputs.smartContentDescriptor"),
        (lambda: raw(outputs=[{"smartContentDescriptor": {"a": {}, "outputPrefix": "a/b"}}]), "outputs.smart"),
        (lambda: raw(callback="host"), "callback"),
        (lambda: CapabilityRequest(capability="musicTagV2", input=MediaxInput(path="a")), "descriptor"),  # type: ignore[arg-type]
        (lambda: CapabilityRequest(capability={}, input=MediaxInput(path="a")), "descriptor"),
        (
            lambda: CapabilityRequest(capability={"a": {}, "outputPrefix": 7}, input=MediaxInput(path="a")),
            "descriptor",
        ),
        (lambda: CapabilityRequest(capability=MusicTag(), input="a.mp3"), "input"),  # type: ignore[arg-type]
        (lambda: MusicBeat(output_type="4"), "output_type"),  # type: ignore[arg-type]
        (lambda: MusicBeat(drum_type=10**400), "drum_type"),
        (lambda: MusicBeat(split_num=True), "split_num"),
        (lambda: separation(outputs=["a"]), "outputs"),
        (lambda: separation(outputs={"voices": "a"}), "outputs='voices' is refused: .*Did you mean voice"),
        (lambda: separation(mode="musicmode"), "mode='musicmode' is refused: .*Did you mean MusicMode"),
        (lambda: separation(audio="mp3"), "audio"),
        (lambda: separation(job_level=1.0), "job_level"),
        (lambda: separation(user_data=7), "user_data"),
        (lambda: separation(callback_type="TDMQ", callback_mq="gz"), "callback_mq"),
        (lambda: separation(callback_type="TDMQ", callback_mq={**QUEUE, 1: "x"}), "callback_mq"),
        (lambda: separation(callback_type="TDMQ", callback_mq={**QUEUE, "MqMode": ["Topic"]}), "callback_mq.MqMode"),
    ],
)
def test_a_request_that_a_hooks_user_builds_is_refused_by_name(make: Callable[[], object], named: str) -> None:
    with pytest.raises(BadRequest, match=f"^{named}"):
        make()


@pytest.mark.parametrize("timeout", [0, -1, True, 1.5, "60", None.__class__, 10**400, names.MOST_SECONDS + 1])
@pytest.mark.parametrize("make", [music, raw])
def test_a_job_timeout_is_a_positive_number_of_at_most_ten_years(make: Any, timeout: Any) -> None:
    with pytest.raises(BadRequest, match=r"^job_timeout=.* is refused: "):
        make(job_timeout=timeout)
    assert [make(job_timeout=seconds).job_timeout for seconds in (1, names.MOST_SECONDS)] == [1, names.MOST_SECONDS]


class TestOwnAddress:
    @pytest.mark.parametrize("text", ["cos://music-1/a@b", "cos://mine@music-1/a@b", "cos://mine@/music-1/a@b"])
    def test_the_connections_own_id_is_dropped(self, text: str) -> None:
        assert names.own_address("key", text, "mine") == ("music-1", "a@b")

    @pytest.mark.parametrize("text", ["a/b.mp3", "https://h/a", "COS://music-1/a", ""])
    def test_anything_else_is_no_address(self, text: str) -> None:
        assert names.own_address("key", text, "mine") is None

    @pytest.mark.parametrize(
        ("text", "conn_id", "rule"),
        [
            ("cos://theirs@music-1/a", "mine", "it names the connection theirs, and the connection used here is mine"),
            ("cos://theirs@music-1/a", None, "it names the connection theirs, and no connection is known here"),
            ("cos://@music-1/a", "mine", "it names the connection"),
            ("cos://id:5e7@music-1/a", "mine", r"it names the connection \(hidden\)"),
            ("cos://mine@music/a", "mine", "its bucket must read like music-1250000000"),
            ("cos://mine@", "mine", "it must read cos://bucket/key"),
        ],
    )
    def test_another_connections_id_is_refused_by_name(self, text: str, conn_id: str | None, rule: str) -> None:
        with pytest.raises(BadRequest, match=f"^key='cos://.*' is refused: {rule}") as refused:
            names.own_address("key", text, conn_id)
        assert SECRET not in refused.value.what


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"url": None}, "Give url; got none"),
        ({"url": None, "path": ""}, "Give exactly one of url and path; got none"),
        ({"url": "a", "path": "b"}, "Give exactly one of url and path; got url and path"),
        ({"url": "a", "path": None, "text": "c"}, "Give exactly one of url, path and text; got url and text"),
    ],
)
def test_of_several_inputs_the_refusal_says_what_was_given(given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRequest) as raised:
        names.exactly_one(given)
    assert raised.value.what == said
    assert names.exactly_one({"url": None, "path": "b"}) == "path"


@pytest.mark.parametrize(
    ("value", "meant"),
    [("moood", "mood"), (" MOOD ", "mood"), ("quux", None), ("mood" * 10 + "x", None), (7, None), ("genres", "Genre")],
)
def test_a_word_that_is_like_a_choice_is_answered_with_that_choice(value: Any, meant: str | None) -> None:
    found = names.suggestion(value, ("mood", "Genre", "scene"))
    assert found == (f" Did you mean {meant}?" if meant else "")


@pytest.mark.parametrize(("length", "looked_at"), [(40, True), (41, False)])
def test_a_text_that_is_longer_than_any_choice_is_compared_with_none(length: int, looked_at: bool) -> None:
    assert bool(names.suggestion("x" * length, ("x" * 40,))) is looked_at


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (10**30 - 1, 10**30 - 1),
        (10**30, "a number with more than 30 digits"),
        ("x" * 2000, "x" * 2000),
        ("x" * 2001, "a text of 2001 characters"),
        ([[[[1]]]], [[["list"]]]),
        (list(range(30)), list(range(20))),
        ({"a": {"b": object}}, {"a": {"b": "type"}}),
        ({1: None}, {"1": None}),
        ({"a": {"b": {"c": {"d": 1}}}}, {"a": {"b": {"c": "dict"}}}),
        ({("x",): 1}, {"tuple": 1}),
        (dict.fromkeys(range(30), 0), {str(number): 0 for number in range(20)}),
        ("in/a?b=5", "in/a?b=5"),
    ],
)
def test_of_a_refused_value_no_more_is_shown_than_can_be_read(value: Any, shown: Any) -> None:
    assert names.shown(value) == shown


@pytest.mark.parametrize("address", ["http://host:0/a", "ftp://host/a", "http:///a", "//host/a", "http://[::1/a"])
def test_an_address_without_a_host_and_port_of_the_web_is_none(address: str) -> None:
    assert names.broken("callback", address)
    assert not names.broken("callback", "https://host:8443/a?b=c")


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("path", "in?a=1/", "it must name a file, without a slash at the end."),
        ("output_prefix", "a/b", "it is the beginning of a file's name, so it holds no slash."),
        ("cos_bucket", "music", "it must read like music-1250000000, the APPID included."),
        ("callback", "host", "it must be an http:// or https:// address."),
        ("callback", "https://h/a b", "it must be an address without spaces."),
        ("callback", 7, "it must be text."),
        ("ci_callback", "host", "it must be an http:// or https:// address, or 'no'."),
        ("url", "cos://music/a", "its bucket must read like music-1250000000, the APPID included."),
    ],
)
def test_a_refusal_names_the_field_its_value_and_the_rule(field: str, value: object, rule: str) -> None:
    with pytest.raises(BadRequest) as refused:
        names.check(field, value)
    assert refused.value.what == f"{field}={value!r} is refused: {rule}"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({1: 2}, "p=1 is refused: the keys of an object must be text."),
        ({"a": {None: 1}}, "p.a=None is refused: the keys of an object must be text."),
        ({"\udfff": 1}, r"p='\udfff' is refused: a key holds half a character."),
        ({"a": "\ud800"}, r"p.a='\ud800' is refused: it holds half a character."),
        ({"a": [float("nan")]}, "p.a=nan is refused: numbers must be finite."),
        ({"a": 2**63}, "p.a=9223372036854775808 is refused: whole numbers must fit into 64 bits."),
        ({"a": -(2**63) - 1}, "p.a=-9223372036854775809 is refused: whole numbers must fit into 64 bits."),
        ({"a": {"b": {"c": {"d": {"e": float("inf")}}}}}, "p.a.b.c.d=inf is refused: numbers must be finite."),
        (
            {"a": MappingProxyType({})},
            "p.a='mappingproxy' is refused: it must be JSON: objects, lists, text, numbers, true, false or null.",
        ),
        (nested(5000), "p='dict' is refused: it is nested too deep or holds too much."),
    ],
    ids=range(10),
)
def test_a_refused_object_names_the_place_the_value_and_the_rule(value: object, said: str) -> None:
    with pytest.raises(BadRequest) as refused:
        names.check_json("p", value)
    assert refused.value.what == said


def test_json_may_hold_the_largest_numbers_of_64_bits() -> None:
    names.check_json("p", MappingProxyType({"a": [2**63 - 1, -(2**63)]}))


def test_json_may_be_as_deep_and_as_large_as_the_limits_say() -> None:
    deep: Any = 1
    for _ in range(names.MAX_JSON_DEPTH):
        deep = [deep]
    names.check_json("extra_parameters", deep)
    with pytest.raises(BadRequest, match="nested too deep"):
        names.check_json("extra_parameters", [deep])
    names.check_json("extra_parameters", [1] * (names.MAX_JSON_VALUES - 1))
    with pytest.raises(BadRequest, match="holds too much"):
        names.check_json("extra_parameters", [1] * names.MAX_JSON_VALUES)
