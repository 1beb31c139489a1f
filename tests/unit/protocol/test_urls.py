from __future__ import annotations

import re
import time

import pytest

from airflow_provider_mediax.protocol.urls import (
    CosAddress,
    cos_address,
    named_url,
    shown_text,
    shown_url,
    split_cos_address,
    unsigned_url,
)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("cos://b-1/key", CosAddress("b-1", "key")),
        ("cos://b-1/a/b c/ä%20?.mp3#x", CosAddress("b-1", "a/b c/ä%20?.mp3#x")),
        ("cos://b-1//key", CosAddress("b-1", "/key")),
        ("cos://b-1/", None),
        ("cos://b-1", None),
        ("cos:///key", None),
        ("COS://b-1/key", None),
        ("https://b-1/key", None),
        ("", None),
    ],
)
def test_cos_address_takes_the_key_as_it_stands(url: str, address: CosAddress | None) -> None:
    assert cos_address(url) == address
    if address is not None:
        assert str(address) == url


@pytest.mark.parametrize(
    ("url", "unsigned"),
    [
        ("https://h/a", "https://h/a"),
        ("https://h/a#f", "https://h/a"),
        ("https://h/a?b=1&q-signature=x&c=2", "https://h/a?b=1&c=2"),
        ("https://h/a?b=&c", "https://h/a?b=&c="),
        ("https://h/a?b=1&b=2", "https://h/a?b=1&b=2"),
        ("https://h/a?name=%E5%A4%A9", "https://h/a?name=%E5%A4%A9"),
        ("cos://b/a?q-sign=1#f", "cos://b/a?q-sign=1#f"),
        ("http://[bad", "http://[bad"),
    ],
)
def test_unsigned_url_keeps_what_the_url_points_to(url: str, unsigned: str) -> None:
    assert unsigned_url(url) == unsigned
    assert unsigned_url(unsigned) == unsigned


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/a.mp3", "https://h/a.mp3"),
        ("https://user:5e7@h:8/a.mp3?x=5e7#5e7", "https://h:8/a.mp3"),
        ("https://a@b:5e7@h/x", "https://h/x"),
        ("cos://b/a.mp3", "cos://b/a.mp3"),
        ("a.mp3?x=5e7", "a.mp3"),
    ],
)
def test_shown_url_holds_nothing_secret(url: str, shown: str) -> None:
    assert shown_url(url) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("fetching https://u:5e7@h/a?x=5e7 failed", "fetching https://h/a failed"),
        ("'HTTP://h/a?5e7', ftp://u:5e7@h", "'HTTP://h/a', ftp://h"),
        ("cos://id:5e7@music-1/a b", "cos://music-1/a b"),
        ("nothing: here/ there:// is", "nothing: here/ there:// is"),
    ],
)
def test_shown_text_holds_nothing_secret(text: str, shown: str) -> None:
    assert shown_text(text) == shown


def test_a_long_text_that_looks_like_schemes_is_read_at_once() -> None:
    began = time.process_time()
    shown_text("a." * 1_000_000 + "a://b" * 50_000)
    assert time.process_time() - began < 2.0


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("cos://mine@b-1/a@b", ("mine", CosAddress("b-1", "a@b"))),
        ("cos://mine@/b-1/a", ("mine", CosAddress("b-1", "a"))),
        ("cos:///b-1/a", (None, CosAddress("b-1", "a"))),
        ("cos://@b-1/a", ("", CosAddress("b-1", "a"))),
        ("cos://x@y@b-1/a", ("x@y", CosAddress("b-1", "a"))),
        ("cos://mine@b-1", None),
        ("cos://mine@/b-1", None),
    ],
)
def test_the_connection_in_an_address_is_no_part_of_the_object(url: str, found: object) -> None:
    assert split_cos_address(url) == found
    assert cos_address(url) == (found[1] if found else None)
    assert "mine" not in shown_url(url)


@pytest.mark.parametrize("url", ["http://[5e7", "http://u:5e7@[bad/x?5e7", "https://℀5e7.com"])
def test_unreadable_url_is_not_shown_at_all(url: str) -> None:
    assert "5e7" not in shown_url(url)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("https://h/a.mp3", "https://h/a.mp3"),
        ("cos://b-1/a?b", "cos://b-1/a?b"),
        ("https://u:secret@h/a.mp3#x", "https://h/a.mp3"),
        ("https://h/a.mp3?X-Amz-Signature=1&X-Amz-Date=2", "https://h/a.mp3"),
        ("https://h/a.mp3?q-signature=1&q-ak=2", "https://h/a.mp3"),
    ],
)
def test_a_url_is_named_without_what_signs_it(url: str, named: str) -> None:
    assert named_url(url) == named


def test_urls_that_differ_in_their_query_have_names_of_their_own() -> None:
    signed = "https://u:secret@h/a.mp3?id={}&q-signature={}&q-ak=1"
    names = [named_url(signed.format(number, sign)) for number, sign in ((1, "a"), (2, "a"), (1, "b"))]
    assert names[0] == names[2] != names[1]
    assert all(re.fullmatch(r"https://h/a\.mp3\?[0-9a-f]{16}", name) for name in names)
