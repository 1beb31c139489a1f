from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from qcloud_cos.cos_auth import CosS3Auth

from airflow_provider_mediax.emulator.shared.q_sign import SignatureRefusal, check_qsign, signature
from airflow_provider_mediax.emulator.shared.wire import RequestTarget

HOST = "test-1250000000.cos.ap-chongqing.myqcloud.com"
TIMES = "1699999940;1700000600"
NOW = 1700000000
SECRET_ID, SECRET_KEY = "example-secret-id", "example-secret-key"

# The worked vectors of the Cloud Infinite reference: method, path, query, headers, signed lists, signature.
VECTORS: list[dict[str, Any]] = [
    {
        "method": "POST",
        "path": "/jobs",
        "headers": {
            "content-type": "application/xml",
            "content-length": "89",
            "host": "test-1250000000.ci.ap-chongqing.myqcloud.com",
        },
        "signature": "62bd2145f9eb1812f252ae11d81370319fa3b694",
    },
    {
        "method": "GET",
        "path": "/jobs/j8d121820f5e411ec926ef19d53ba9c6f,j40644e92f8e311ecb90d0b03267ce0e5",
        "headers": {"host": "test-1250000000.ci.ap-chongqing.myqcloud.com"},
        "signature": "5b5130fe4383be9f9002c623cd8db59bd4750bd3",
    },
    {
        "method": "GET",
        "path": "/jobs",
        "query": {
            "queueId": "p2242ab62c7c94486915508540933a2c6",
            "tag": "VoiceSeparate",
            "states": "Success,Failed",
            "startCreationTime": "2024-01-01T00:00:00+0800",
        },
        "headers": {"host": "test-1250000000.ci.ap-chongqing.myqcloud.com"},
        "signature": "c52a4e9aa397ffa7883b6b89a03cb336fc503762",
    },
    {
        "method": "PUT",
        "path": "/jobs/j8d121820f5e411ec926ef19d53ba9c6f",
        "query": {"cancel": ""},
        "headers": {
            "x-ci-security-token": "TOKEN/+=",
            "host": "test-1250000000.ci.ap-chongqing.myqcloud.com",
        },
        "signature": "f88ec2a1aa1b1579b7ba580857d6eb8e191a5cd7",
    },
    {
        "method": "HEAD",
        "path": "/目录/a b+c~(1).mp3",
        "headers": {"host": HOST},
        "signature": "8e1362cd3847baa6641868e96463dcd1b6ae794d",
    },
    {"method": "GET", "path": "/jobs/j1", "headers": {}, "signature": "bbe83fc30c8d2ac17582eb81bdaceec5db7aeed9"},
]


def fields(vector: dict[str, Any]) -> dict[str, str]:
    return {
        "q-sign-algorithm": "sha1",
        "q-ak": SECRET_ID,
        "q-sign-time": TIMES,
        "q-key-time": TIMES,
        "q-header-list": ";".join(sorted(vector["headers"])),
        "q-url-param-list": ";".join(sorted(name.lower() for name in vector.get("query", {}))),
        "q-signature": vector["signature"],
    }


def target(vector: dict[str, Any], **changed: str) -> RequestTarget:
    authorization = "&".join(f"{name}={value}" for name, value in {**fields(vector), **changed}.items())
    return RequestTarget(
        method=vector["method"],
        host=vector["headers"].get("host", HOST),
        path=vector["path"],
        raw_query=urlencode(vector.get("query", {})),
        headers={**vector["headers"], "authorization": authorization},
    )


def key_of(secret_id: str) -> str | None:
    return SECRET_KEY if secret_id == SECRET_ID else None


def refusal(wrong: RequestTarget, now: float = NOW) -> str:
    with pytest.raises(SignatureRefusal) as caught:
        check_qsign(wrong, key_of, now)
    return caught.value.code


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["method"] + vector["path"][:12])
def test_the_reference_vectors_are_accepted(vector: dict[str, Any]) -> None:
    assert check_qsign(target(vector), key_of, NOW) == SECRET_ID


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["method"] + vector["path"][:12])
def test_every_signed_part_is_protected(vector: dict[str, Any]) -> None:
    right = target(vector)
    wrong = [
        dataclasses.replace(right, method="DELETE"),
        dataclasses.replace(right, path=right.path + "x"),
        target(vector, **{"q-sign-time": "1699999941;1700000600"}),
        target(vector, **{"q-key-time": "1699999941;1700000600"}),
    ]
    wrong += [target({**vector, "query": {**vector["query"], name: "x"}}) for name in vector.get("query", {})]
    wrong += [
        dataclasses.replace(right, headers={**right.headers, name: "x"}) for name in vector["headers"] if name != "host"
    ]
    if "host" in vector["headers"]:
        wrong.append(dataclasses.replace(right, host="other-1250000000.cos.ap-chongqing.myqcloud.com"))
    assert {refusal(each) for each in wrong} == {"SignatureDoesNotMatch"}


def test_a_signature_in_the_query_is_accepted() -> None:
    vector = VECTORS[4]
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in fields(vector).items())
    assert check_qsign(RequestTarget("HEAD", HOST, vector["path"], query, {"host": HOST}), key_of, NOW) == SECRET_ID


@pytest.mark.parametrize(
    ("now", "code"),
    [(1699999939, "RequestTimeTooSkewed"), (1700000601, "AccessDenied")],
    ids=["not yet valid", "expired"],
)
def test_the_window_must_contain_now(now: int, code: str) -> None:
    assert refusal(target(VECTORS[0]), now) == code


def test_both_ends_of_the_window_are_valid() -> None:
    for now in (1699999940, 1700000600):
        check_qsign(target(VECTORS[0]), key_of, now)


def test_an_unknown_key_and_a_missing_signature_are_told_apart() -> None:
    assert refusal(target(VECTORS[0], **{"q-ak": "nobody"})) == "InvalidAccessKeyId"
    assert refusal(RequestTarget("GET", HOST, "/a", "", {"host": HOST})) == "AccessDenied"
    assert refusal(target(VECTORS[0], **{"q-sign-time": "soon;later"})) == "AccessDenied"


@given(
    key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(lambda key: key[0] != "/"),
    prefix=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
def test_what_the_real_sdk_signs_is_accepted_for_any_key(key: str, prefix: str) -> None:
    conf = SimpleNamespace(
        _secret_id=SECRET_ID, _secret_key=SECRET_KEY, _anonymous=False, _sign_params=True, _sign_host=True
    )
    parameters = {"prefix": prefix, "max-keys": "10"}
    request = requests.Request("GET", f"http://{HOST}/x", headers={"Range": "bytes=0-1"}).prepare()
    signed = CosS3Auth(conf, key, parameters)(request)
    headers = {name.lower(): str(value) for name, value in signed.headers.items()}
    times = dict(part.split("=", 1) for part in headers["authorization"].split("&"))["q-sign-time"]
    sent = RequestTarget("GET", HOST, "/" + key, urlencode(parameters), headers)
    assert check_qsign(sent, key_of, int(times.split(";")[0]) + 60) == SECRET_ID


def signed(query: str, params: str, headers: dict[str, str], header_list: str = "host") -> RequestTarget:
    """Sign a request with empty values for what is listed and missing, as the old reading of the rule allowed."""
    bare = RequestTarget("GET", HOST, "/", query, {"host": HOST, **headers})
    listed = {name: value for name, value in bare.query.items() if name in params.split(";")}
    complete = dataclasses.replace(
        bare,
        raw_query=urlencode({**dict.fromkeys(filter(None, params.split(";")), ""), **listed}),
        headers={**dict.fromkeys(header_list.split(";"), ""), **bare.headers},
    )
    lists = {"sign_time": TIMES, "key_time": TIMES, "header_list": header_list, "param_list": params}
    members = {
        "q-sign-algorithm": "sha1",
        "q-ak": SECRET_ID,
        "q-sign-time": TIMES,
        "q-key-time": TIMES,
        "q-header-list": header_list,
        "q-url-param-list": params,
        "q-signature": signature(complete, SECRET_KEY, **lists),
    }
    authorization = "&".join(f"{name}={value}" for name, value in members.items())
    return dataclasses.replace(bare, headers={**bare.headers, "authorization": authorization})


def test_a_signed_parameter_that_is_missing_is_not_the_same_as_an_empty_one() -> None:
    assert check_qsign(signed("uploads", "uploads", {}), key_of, NOW) == SECRET_ID
    assert refusal(signed("", "uploads", {})) == "SignatureDoesNotMatch"
    assert refusal(signed("delete", "uploads", {})) == "SignatureDoesNotMatch"


def test_a_signed_header_that_is_missing_is_not_the_same_as_an_empty_one() -> None:
    assert check_qsign(signed("", "", {"x-cos-acl": ""}, "host;x-cos-acl"), key_of, NOW) == SECRET_ID
    assert refusal(signed("", "", {}, "host;x-cos-acl")) == "SignatureDoesNotMatch"


def test_a_parameter_cannot_hide_behind_a_signed_one_of_other_case() -> None:
    """Both would stand for the one name in the list, and only one of them was signed."""
    assert refusal(signed("prefix=evil&Prefix=good", "prefix", {})) == "SignatureDoesNotMatch"
    assert refusal(signed("Prefix=good&prefix=evil", "prefix", {})) == "SignatureDoesNotMatch"


def test_a_parameter_that_is_sent_twice_is_refused() -> None:
    """A reader of the first and a reader of the last would see different requests under one signature."""
    assert refusal(signed("prefix=a&prefix=b", "prefix", {})) == "SignatureDoesNotMatch"
