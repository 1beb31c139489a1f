"""The signature against published vectors and against the official SDK's own signer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qcloud_cos.cos_client import CosS3Client

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.protocol.cos_signature import CosKeys, authorization, presigned_query
from tests.unit.protocol.helpers import KEYS, TEMPORARY, published

VECTORS = json.loads(published("signature_vectors.json"))
NOW = 1_700_000_000

text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
names = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ-_ /é", min_size=1, max_size=10)
signed_headers = st.sampled_from(["content-type", "content-length", "Content-MD5", "range", "x-cos-acl", "X-Ci-Thing"])


def distinct(pairs: dict[str, str]) -> dict[str, str]:
    """Leave one of the names that differ in case only: signed, they are one."""
    return dict({name.lower(): (name, value) for name, value in pairs.items()}.values())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_vector_is_reproduced(vector: dict[str, Any]) -> None:
    keys = CosKeys(secret_id=vector["secret_id"], secret_key=vector["secret_key"])
    made = authorization(
        keys,
        vector["method"],
        vector["path_decoded"],
        query=vector["query"],
        headers=vector["signed_headers"],
        now=vector["start"] + 60,
        ahead=vector["end"] - vector["start"] - 60,
    )
    assert made == vector["authorization"]


@pytest.fixture(scope="module")
def sdk() -> Iterator[CosS3Client]:
    """Return the SDK's signer with its clock stopped."""
    with pytest.MonkeyPatch.context() as patch:
        import qcloud_cos
        from qcloud_cos import cos_auth

        patch.setattr(cos_auth, "time", SimpleNamespace(time=lambda: float(NOW)))
        config = qcloud_cos.CosConfig(Region="ap-guangzhou", SecretId=KEYS.secret_id, SecretKey=KEYS.secret_key)
        yield qcloud_cos.CosS3Client(config)


HOST = "music-1250000000.ci.ap-guangzhou.myqcloud.com"


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD"]),
    path=text,
    query=st.dictionaries(names, text, max_size=4),
    headers=st.dictionaries(signed_headers, text, max_size=4),
    ahead=st.integers(1, 100_000),
)
def test_the_sdk_signs_the_same(
    sdk: CosS3Client, method: str, path: str, query: dict[str, str], headers: dict[str, str], ahead: int
) -> None:
    query, headers = distinct(query), distinct(headers)
    from qcloud_cos.cos_auth import CosS3Auth

    sent = SimpleNamespace(method=method, url=f"https://{HOST}:8443/x", headers=dict(headers))
    theirs = CosS3Auth(sdk._conf, "/" + path, query, ahead)(sent).headers["Authorization"]
    ours = authorization(KEYS, method, "/" + path, query=query, headers={**headers, "Host": HOST}, now=NOW, ahead=ahead)
    assert ours == theirs


@given(path=text.filter(lambda path: path.strip("/.")), query=st.dictionaries(names, text, max_size=3))
def test_a_presigned_query_is_the_sdks(sdk: CosS3Client, path: str, query: dict[str, str]) -> None:
    query = distinct(query)
    url = sdk.get_presigned_url("music-1250000000", path, "GET", Expired=300, Params=query, UseCiEndPoint=True)
    theirs = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    signed = path if path.startswith("/") else "/" + path
    ours = presigned_query(KEYS, "GET", signed, query=query, headers={"host": HOST}, now=NOW, ahead=300)
    assert sorted(parse_qsl(ours, keep_blank_values=True)) == sorted(theirs)


def test_a_presigned_query_signs_the_token_it_carries() -> None:
    made = dict(parse_qsl(presigned_query(TEMPORARY, "GET", "/a", now=NOW, ahead=60), keep_blank_values=True))
    assert made["x-cos-security-token"] == TEMPORARY.token
    assert made["q-url-param-list"] == "x-cos-security-token"
    assert made["q-sign-time"] == f"{NOW - 60};{NOW + 60}"


def test_no_secret_shows() -> None:
    assert "of-a-user" not in repr(TEMPORARY)


@pytest.mark.parametrize(
    ("field", "value"),
    [("secret_id", ""), ("secret_key", ""), ("secret_id", "AKID\nexample"), ("token", "tökenexample")],
)
def test_keys_that_no_header_can_carry_are_refused_without_being_shown(field: str, value: str) -> None:
    given = {"secret_id": "AKIDexample", "secret_key": "keyexample", "token": "tokenexample", field: value}
    with pytest.raises(BadRequest, match=rf"^cos_{field}=.* is refused: ") as refused:
        CosKeys(**given)
    said = f"{refused.value.reason} {refused.value.advice}"
    assert "example" not in said
    assert "AKID" not in said
