"""Proxies and certificates: one table of cases, answered by requests itself and by both drivers of this package."""

from __future__ import annotations

import base64
import hashlib
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from requests.adapters import HTTPAdapter
from requests.utils import prepend_scheme_if_needed, select_proxy

from airflow_provider_mediax.client.retry import ONE_TRY
from airflow_provider_mediax.client.session import new_session
from airflow_provider_mediax.client.transport import Transport, _environment_proxy
from airflow_provider_mediax.exceptions import BadRequest, MediaxError, Unreachable
from airflow_provider_mediax.protocol.exchange import Call, Flow

from .stub import Answer, Driver, StubServer, http

MakeDriver = Callable[..., Driver]
Serve = Callable[..., StubServer]

OK = Answer(http(b"fine"))
PROXY = "http://proxy.test:3128"
OTHER = "http://other.test:8080"
SERVICE = "https://api.mediax.tencent.com/job"
BOTH = {"HTTP_PROXY": PROXY, "HTTPS_PROXY": PROXY}

PROXY_CASES: dict[str, tuple[Mapping[str, str], str]] = {
    "nothing set": ({}, SERVICE),
    "https in upper case": ({"HTTPS_PROXY": PROXY}, SERVICE),
    "https in lower case": ({"https_proxy": PROXY}, SERVICE),
    "https in mixed case": ({"Https_Proxy": PROXY}, SERVICE),
    "lower case wins": ({"https_proxy": PROXY, "HTTPS_PROXY": OTHER}, SERVICE),
    "empty lower case unsets": ({"https_proxy": "", "HTTPS_PROXY": OTHER}, SERVICE),
    "empty": ({"HTTPS_PROXY": ""}, SERVICE),
    "http is not https": ({"HTTP_PROXY": PROXY}, SERVICE),
    "http": ({"HTTP_PROXY": PROXY}, "http://service.test/job"),
    "http below CGI": ({"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}, "http://service.test/job"),
    "http in lower case below CGI": ({"http_proxy": PROXY, "REQUEST_METHOD": "GET"}, "http://service.test/job"),
    "all in upper case": ({"ALL_PROXY": PROXY}, SERVICE),
    "all in lower case": ({"all_proxy": PROXY}, "http://service.test/job"),
    "the scheme's own wins over all": ({"ALL_PROXY": OTHER, "HTTPS_PROXY": PROXY}, SERVICE),
    "all for what has none of its own": ({"ALL_PROXY": OTHER, "HTTP_PROXY": PROXY}, SERVICE),
    "a proxy without a scheme": ({"HTTPS_PROXY": "proxy.test:3128"}, SERVICE),
    "a proxy over TLS": ({"HTTPS_PROXY": "https://proxy.test:3128"}, SERVICE),
    "a proxy with a slash": ({"HTTPS_PROXY": "http://proxy.test:3128/"}, SERVICE),
    "a proxy in IPv6": ({"HTTPS_PROXY": "http://[::1]:3128"}, SERVICE),
    "a proxy with a password": ({"HTTPS_PROXY": "http://user:pass@proxy.test:3128"}, SERVICE),
    "exception in upper case": ({**BOTH, "NO_PROXY": "api.mediax.tencent.com"}, SERVICE),
    "exception in lower case": ({**BOTH, "no_proxy": "api.mediax.tencent.com"}, SERVICE),
    "exception, lower case wins": ({**BOTH, "no_proxy": "x.test", "NO_PROXY": "api.mediax.tencent.com"}, SERVICE),
    "exception, empty lower case": ({**BOTH, "no_proxy": "", "NO_PROXY": "api.mediax.tencent.com"}, SERVICE),
    "exception in other letters": ({**BOTH, "NO_PROXY": "API.MediaX.tencent.COM"}, SERVICE),
    "exception for a suffix": ({**BOTH, "NO_PROXY": "tencent.com"}, SERVICE),
    "exception for a suffix with a dot": ({**BOTH, "NO_PROXY": ".tencent.com"}, SERVICE),
    "exception for a suffix with a star": ({**BOTH, "NO_PROXY": "*.tencent.com"}, SERVICE),
    "exception for half a name": ({**BOTH, "NO_PROXY": "cent.com"}, SERVICE),
    "exception for all": ({**BOTH, "NO_PROXY": "*"}, SERVICE),
    "exception for all among others": ({**BOTH, "NO_PROXY": "x.test,*"}, SERVICE),
    "exception among others": ({**BOTH, "NO_PROXY": "x.test, tencent.com ,y.test"}, SERVICE),
    "exceptions between spaces": ({**BOTH, "NO_PROXY": "x.test tencent.com"}, SERVICE),
    "exception for the port": ({**BOTH, "NO_PROXY": "service.test:8443"}, "https://service.test:8443/"),
    "exception for another port": ({**BOTH, "NO_PROXY": "service.test:8443"}, "https://service.test:8444/"),
    "exception for the usual port": ({**BOTH, "NO_PROXY": "service.test:443"}, "https://service.test/"),
    "exception for a suffix and port": ({**BOTH, "NO_PROXY": ".test:8443"}, "https://service.test:8443/"),
    "exception for an address": ({**BOTH, "NO_PROXY": "10.1.2.3"}, "http://10.1.2.3:8080/"),
    "exception for address and port": ({**BOTH, "NO_PROXY": "10.1.2.3:8080"}, "http://10.1.2.3:8080/"),
    "exception for another address": ({**BOTH, "NO_PROXY": "10.1.2.4"}, "http://10.1.2.3/"),
    "exception for a part of an address": ({**BOTH, "NO_PROXY": "2.3"}, "http://10.1.2.3/"),
    "exception for a range": ({**BOTH, "NO_PROXY": "10.0.0.0/8"}, "http://10.1.2.3/"),
    "exception for another range": ({**BOTH, "NO_PROXY": "10.2.0.0/16"}, "http://10.1.2.3/"),
    "exception for a range of all": ({**BOTH, "NO_PROXY": "0.0.0.0/0"}, "http://10.1.2.3/"),
    "exception for a range and a name": ({**BOTH, "NO_PROXY": "10.0.0.0/8"}, SERVICE),
    "exception for IPv6": ({**BOTH, "NO_PROXY": "::1"}, "http://[::1]:8080/"),
    "exception for IPv6 in brackets": ({**BOTH, "NO_PROXY": "[::1]"}, "http://[::1]:8080/"),
    "exception for a range in IPv6": ({**BOTH, "NO_PROXY": "fe80::/10"}, "http://[fe80::1]/"),
    "exception for this machine": ({**BOTH, "NO_PROXY": "localhost,127.0.0.1"}, "http://localhost:8080/"),
    "no exception for this machine": (BOTH, "http://127.0.0.1:8080/"),
    "host in upper case": ({**BOTH, "NO_PROXY": "tencent.com"}, "https://API.MEDIAX.TENCENT.COM/job"),
}


class Spy(HTTPAdapter):
    """Keeps what requests decided and sends nothing."""

    proxy: str | None = None
    verify: Any = None

    def send(self, request: Any, *args: Any, proxies: Any = None, verify: Any = None, **kwargs: Any) -> Any:
        self.proxy, self.verify = select_proxy(request.url, proxies), verify
        answer = requests.Response()
        answer.status_code, answer.url, answer.request = 200, request.url, request
        answer._content = b""
        return answer


def asked_of_requests(url: str, verify: bool | str = True) -> Spy:
    spy = Spy()
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, spy)
        session.get(url, verify=verify)
    return spy


@pytest.fixture(autouse=True)
def _read_anew() -> None:
    _environment_proxy.cache_clear()


@pytest.mark.parametrize(("environment", "url"), PROXY_CASES.values(), ids=PROXY_CASES)
def test_the_proxy_is_the_one_that_requests_takes(
    environment: Mapping[str, str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    theirs = asked_of_requests(url).proxy
    ours = Transport().proxy_for(url)
    assert (ours and ours.full) == (theirs and prepend_scheme_if_needed(theirs, "http"))  # type: ignore[no-untyped-call]


def test_the_table_of_proxies_has_both_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    used = set()
    for environment, url in PROXY_CASES.values():
        with monkeypatch.context() as each:
            for name, value in environment.items():
                each.setenv(name, value)
            used.add(asked_of_requests(url).proxy)
    assert {None, PROXY} < used
    assert OTHER in used


def test_a_proxy_that_is_set_later_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Transport().proxy_for(SERVICE) is None
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    proxy = Transport().proxy_for(SERVICE)
    assert proxy is not None
    assert proxy.address == PROXY


def call(url: str) -> Flow[int]:
    reply = yield Call(action="Look", method="GET", url=url)
    assert reply is not None
    return reply.status


@pytest.fixture(params=["sync", "async", "COS"])
def send(request: pytest.FixtureRequest) -> Callable[..., int]:
    """Send one request by one of the three ways; the second argument is the transport's settings."""

    def sent(url: str, **settings: Any) -> int:
        transport = Transport(**{"connect_timeout": 2.0, "read_timeout": 2.0, **settings})
        if request.param != "COS":
            return Driver(request.param, transport).run(lambda: call(url), patience=ONE_TRY)[0]
        with new_session(transport) as session:
            try:
                return session.get(url, timeout=2).status_code
            except requests.ConnectionError as error:
                raise Unreachable(type(error).__name__) from None

    return sent


LOGINS = {
    "none": "",
    "plain": "user:pass77@",
    "no password": "user@",
    "empty password": "user:@",
    "an at": "user:pass@77@",
    "a quoted at": "user:pass%4077@",
    "a percent sign": "user:pass%77@",
    "a colon": "user:pa:ss77@",
    "an accent": "user:p%C3%A4ss77@",
    "quoted user": "us%2Fer:pass77@",
}


@pytest.mark.parametrize("login", LOGINS.values(), ids=LOGINS)
def test_a_proxy_gets_the_login_that_requests_sends(
    login: str, send: Callable[..., int], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(OK)
    monkeypatch.setenv("http_proxy", f"http://{login}127.0.0.1:{proxy.port}")
    requests.get("http://service.test/", timeout=2)
    send("http://service.test/")
    theirs, ours = (seen.headers.get("proxy-authorization") for seen in proxy.requests)
    assert ours == theirs
    assert (theirs is None) == (login in ("", "user@"))


def test_a_tunnel_is_asked_for_with_the_login_and_carries_none(
    send: Callable[..., int], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(Answer(http(b"", 407), "close"))
    monkeypatch.setenv("https_proxy", f"http://user:pass77@127.0.0.1:{proxy.port}")
    with pytest.raises(Unreachable):
        send("https://service.test/")
    [seen] = proxy.requests
    assert seen.target == "service.test:443"
    assert seen.headers["proxy-authorization"] == "Basic " + base64.b64encode(b"user:pass77").decode()


UNUSABLE = {
    "socks": "socks5://user:pass77@127.0.0.1:1080",
    "a hash": "http://user:pass77#x@127.0.0.1:3128",
    "a slash": "http://user:pass77/x@127.0.0.1:3128",
    "a question mark": "http://user:pass77?x@127.0.0.1:3128",
    "a bracket": "http://user:[pass77@127.0.0.1:3128",
    "an open bracket": "http://[user:pass77@",
    "a bracket that closes": "http://user:pass77]@127.0.0.1:3128",
    "white space": "http://user:pass77 x@127.0.0.1:3128",
    "a letter of no Latin": "http://user:pass77%E4%B8%AD@127.0.0.1:3128",
    "no host": "http://user:pass77@",
    "a port too large": "http://user:pass77@127.0.0.1:99999",
    "backslash": "http://user:pass77\\x@127.0.0.1:3128",
}


@pytest.mark.parametrize("setting", UNUSABLE.values(), ids=UNUSABLE)
@pytest.mark.parametrize("place", ["field", "HTTP_PROXY", "all_proxy"])
def test_an_unusable_proxy_is_named_by_its_place_alone(
    setting: str, place: str, send: Callable[..., int], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(OK)
    if place != "field":
        monkeypatch.setenv(place, setting)
    with pytest.raises(MediaxError) as refused:
        send(server.url, **({"proxy": setting} if place == "field" else {}))
    error: BaseException | None = refused.value
    while error is not None:
        for shown in (str(error), repr(error), getattr(error, "advice", "")):
            assert "pass77" not in shown
            assert "user" not in shown.replace("user and", "")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if isinstance(refused.value, BadRequest):
        assert ("field proxy" if place == "field" else place) in str(refused.value)
    assert server.requests == []


def hashed(certificate: Path, folder: Path) -> Path:
    """Put a certificate into a folder under the name by which OpenSSL looks for it."""
    name = x509.load_pem_x509_certificate(certificate.read_bytes()).subject.public_bytes()
    digest = int.from_bytes(hashlib.sha1(name[2:]).digest()[:4], "little")
    (folder / f"{digest:08x}.0").write_bytes(certificate.read_bytes())
    return folder


BUNDLES: dict[str, tuple[Mapping[str, str], bool | str, bool]] = {
    "nothing": ({}, True, False),
    "no check": ({}, False, True),
    "a file": ({}, "file", True),
    "a folder": ({}, "folder", True),
    "another file": ({}, "other", False),
    "another folder": ({}, "empty", False),
    "REQUESTS_CA_BUNDLE, a file": ({"REQUESTS_CA_BUNDLE": "file"}, True, True),
    "REQUESTS_CA_BUNDLE, a folder": ({"REQUESTS_CA_BUNDLE": "folder"}, True, True),
    "CURL_CA_BUNDLE, a file": ({"CURL_CA_BUNDLE": "file"}, True, True),
    "CURL_CA_BUNDLE, a folder": ({"CURL_CA_BUNDLE": "folder"}, True, True),
    "REQUESTS_CA_BUNDLE wins": ({"REQUESTS_CA_BUNDLE": "other", "CURL_CA_BUNDLE": "file"}, True, False),
    "an empty REQUESTS_CA_BUNDLE": ({"REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": "file"}, True, True),
    "SSL_CERT_FILE is not read": ({"SSL_CERT_FILE": "file"}, True, False),
    "SSL_CERT_DIR is not read": ({"SSL_CERT_DIR": "folder"}, True, False),
    "lower case is not read": ({"requests_ca_bundle": "file"}, True, False),
    "the field wins": ({"REQUESTS_CA_BUNDLE": "other"}, "file", True),
    "the field wins, refusing": ({"REQUESTS_CA_BUNDLE": "file"}, "other", False),
    "no check wins": ({"REQUESTS_CA_BUNDLE": "other"}, False, True),
}


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize(("environment", "verify", "trusted"), BUNDLES.values(), ids=BUNDLES)
def test_a_certificate_is_trusted_where_requests_trusts_it(
    environment: Mapping[str, str],
    verify: bool | str,
    trusted: bool,
    send: Callable[..., int],
    serve: Serve,
    certificate: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = serve(OK, tls=context)
    places = {"": "", "file": str(certificate), "other": requests.utils.DEFAULT_CA_BUNDLE_PATH}
    for name in ("folder", "empty"):
        (tmp_path / name).mkdir()
        places[name] = str(tmp_path / name)
    hashed(certificate, tmp_path / "folder")
    for name, place in environment.items():
        monkeypatch.setenv(name, places[place])
    verified = places[verify] if isinstance(verify, str) else verify

    def trusts(ask: Callable[[], Any]) -> bool:
        try:
            ask()
        except (requests.exceptions.SSLError, Unreachable):
            return False
        return True

    assert trusts(lambda: requests.get(server.url, verify=verified, timeout=2)) is trusted
    assert trusts(lambda: send(server.url, verify=verified)) is trusted


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_bundle_that_is_not_there_is_refused_by_the_name_of_its_setting(
    name: str, send: Callable[..., int], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(OK)
    monkeypatch.setenv(name, "/nowhere/bundle.pem")
    with pytest.raises(BadRequest, match=rf"{name}='/nowhere/bundle.pem'"):
        send(server.url)
    assert server.requests == []
