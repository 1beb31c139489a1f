"""A caller of Cloud Infinite that shares no code with the package: its own signing and reading of XML."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Any
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest
import requests
from qcloud_cos import CosConfig, CosS3Client, CosServiceError

from airflow_provider_mediax.emulator.shared.accounts import BUCKET, PRESET, REGION
from tests.unit.emulator.helpers import PATIENCE, wait_for

FINAL = ("Success", "Failed", "Cancel", "Archived")


def tree(element: ElementTree.Element) -> Any:
    """Return texts, dicts of what is there once, and lists of what repeats."""
    if not len(element):
        return element.text or ""
    found: dict[str, Any] = {}
    for child in element:
        found.setdefault(child.tag, []).append(tree(child))
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def xml(root: str, members: dict[str, Any]) -> bytes:
    def node(name: str, value: Any) -> str:
        if isinstance(value, list):
            return "".join(node(name, each) for each in value)
        inner = "".join(node(*each) for each in value.items()) if isinstance(value, dict) else escape(str(value))
        return f"<{name}>{inner}</{name}>"

    return node(root, members).encode()


class Ci:
    """Sends signed requests to one bucket's Cloud Infinite host at the emulator."""

    def __init__(self, url: str, bucket: str = BUCKET, region: str = REGION, **other: str) -> None:
        self.url = url
        self.bucket, self.region = bucket, region
        self.host = f"{bucket}.ci.{region}.myqcloud.com"
        self.id = other.get("id", PRESET.cos_secret_id)
        self.key = other.get("key", PRESET.cos_secret_key)
        self.token = other.get("token")
        self.session = requests.Session()
        self.session.trust_env = False

    def sign(self, method: str, path: str, query: dict[str, str], start: int | None = None) -> str:
        start = int(time.time()) - 60 if start is None else start
        times = f"{start};{start + 660}"
        names = sorted(query, key=str.lower)
        pairs = "&".join(f"{quote(name, safe='').lower()}={quote(query[name], safe='')}" for name in names)
        text = f"{method.lower()}\n{path}\n{pairs}\nhost={self.host}\n"
        digest = hashlib.sha1(text.encode()).hexdigest()
        sign_key = hmac.new(self.key.encode(), times.encode(), "sha1").hexdigest()
        signature = hmac.new(sign_key.encode(), f"sha1\n{times}\n{digest}\n".encode(), "sha1").hexdigest()
        return (
            f"q-sign-algorithm=sha1&q-ak={self.id}&q-sign-time={times}&q-key-time={times}&q-header-list=host"
            f"&q-url-param-list={';'.join(name.lower() for name in names)}&q-signature={signature}"
        )

    def call(self, method: str, path: str, body: bytes | None = None, **query: str) -> requests.Response:
        start, redirects = query.pop("_start", None), query.pop("_redirects", "yes") == "yes"
        headers = {
            "Host": self.host,
            "Authorization": self.sign(method, path, query, None if start is None else int(start)),
        }
        if self.token:
            headers["x-ci-security-token"] = self.token
        asked = "&".join(f"{quote(name)}={quote(value, safe='')}" for name, value in query.items())
        url = f"{self.url}{quote(path)}" + (f"?{asked}" if asked else "")
        return self.session.request(
            method, url, data=body, headers=headers, timeout=PATIENCE, allow_redirects=redirects
        )

    def ask(self, method: str, path: str, body: bytes | None = None, **query: str) -> Any:
        answer = self.call(method, path, body, **query)
        assert answer.status_code == 200, answer.text
        root = ElementTree.fromstring(answer.content)
        assert root.tag == "Response"
        return tree(root)

    def refused(self, method: str, path: str, body: bytes | None = None, **query: str) -> tuple[int, str]:
        answer = self.call(method, path, body, **query)
        root = ElementTree.fromstring(answer.content)
        assert (root.tag, [child.tag for child in root]) == ("Error", ["Code", "Message", "RequestId", "TraceId"])
        assert root.findtext("RequestId") == answer.headers["x-ci-request-id"]
        return answer.status_code, root.findtext("Code") or ""

    def request(self, **changed: Any) -> dict[str, Any]:
        """Return the members of a submit; ``mode``, ``config``, ``output``, ``operation`` change its parts."""
        keys = {"Object": "out/back.${ext}", "AuObject": "out/voice.${ext}"}
        mode = changed.pop("mode", "AudioAndBackground")
        if mode == "MusicMode":
            keys |= {"BassObject": "out/bass.${ext}", "DrumObject": "out/drum.${ext}"}
        separation = {"AudioMode": mode, "AudioConfig": changed.pop("config", {"Codec": "wav"})}
        output = {"Region": self.region, "Bucket": self.bucket, **keys, **changed.pop("output", {})}
        operation = {
            "VoiceSeparate": separation,
            "Output": {name: text for name, text in output.items() if text is not None},
            "UserData": "marker and more",
            **changed.pop("operation", {}),
        }
        members = {
            "Tag": "VoiceSeparate",
            "Input": {"Object": changed.pop("source", "in/track.wav")},
            "Operation": {name: value for name, value in operation.items() if value is not None},
            **changed,
        }
        return {name: value for name, value in members.items() if value is not None}

    def submit(self, **changed: Any) -> dict[str, Any]:
        job: dict[str, Any] = self.ask("POST", "/jobs", xml("Request", self.request(**changed)))["JobsDetail"]
        return job

    def get(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = self.ask("GET", f"/jobs/{job_id}")["JobsDetail"]
        return job

    def finish(self, job: dict[str, Any]) -> dict[str, Any]:
        return wait_for(lambda: found if (found := self.get(job["JobId"]))["State"] in FINAL else None)

    def page(self, **query: str) -> dict[str, Any]:
        found = self.ask("GET", "/jobs", None, tag="VoiceSeparate", **query)
        jobs = found.get("JobsDetail", [])
        return {"jobs": jobs if isinstance(jobs, list) else [jobs], "next": found["NextToken"]}

    def listed(self, **query: str) -> list[str]:
        return [job["JobId"] for job in self.page(**query)["jobs"]]


def proxied_sdk(url: str, **other: Any) -> CosS3Client:
    """Return the real SDK, using the emulator as a proxy: that keeps the host names of both services."""
    place = urlsplit(url)
    options = {"Region": REGION, "SecretId": PRESET.cos_secret_id, "SecretKey": PRESET.cos_secret_key, **other}
    proxies = {"http": f"http://{place.hostname}:{place.port}"}
    session = requests.Session()
    session.trust_env = False
    return CosS3Client(CosConfig(Scheme="http", Proxies=proxies, **options), retry=0, session=session)


def refused(status: int, code: str, call: Any, *args: Any, **kwargs: Any) -> CosServiceError:
    with pytest.raises(CosServiceError) as caught:
        call(*args, **kwargs)
    assert (caught.value.get_status_code(), caught.value.get_error_code()) == (status, code)
    return caught.value
