"""What COS says in an answer: that it is done, or one typed error, decided by code and status and never by a text."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from airflow_provider_mediax.exceptions import (
    AuthenticationFailed,
    BadRequest,
    MediaxError,
    NotFound,
    ProtocolError,
    Throttled,
    Unavailable,
)
from airflow_provider_mediax.protocol.ci.xml import read_xml
from airflow_provider_mediax.protocol.exchange import (
    JsonObject,
    Reply,
    outcome_unknown,
    plain_words,
    redirect_target,
)
from airflow_provider_mediax.protocol.json_body import member, parse_json, text

REQUEST_ID = "x-cos-request-id"
"""Header of every answer of COS, whatever it says; what answers in its place has none."""

_KEYS = "Check cos_secret_id, cos_secret_key, cos_token and the rights of their user on the bucket."
_PLACE = "Check cos_endpoint and proxy of the connection; a proxy may have answered in the place of COS."
_REGION = "If the bucket lies in another region, name that in the connection's field bucket_regions."
# What a passing fault of the way or of the server is called with a status below 500.
_PASSING = frozenset({"BadDigest", "IncompleteBody", "InternalError", "RequestTimeout", "ServiceUnavailable"})


class Target(NamedTuple):
    """
    What a request is about.

    :param key: empty if it is about the bucket itself.
    """

    bucket: str
    region: str
    key: str = ""

    def __str__(self) -> str:
        return f"cos://{self.bucket}/{self.key}"

    @property
    def host(self) -> str:
        """The bucket's own name in COS, which is signed."""
        return f"{self.bucket}.cos.{self.region}.myqcloud.com"


def slowed_down(reply: Reply) -> bool:
    """Tell whether COS refused for its rate limit, so that nothing was done."""
    return reply.status == 429 or (reply.status >= 400 and text(_envelope(reply).get("Code")) == "SlowDown")


def refusal(reply: Reply, verb: str, target: Target, hide: Callable[[str], str]) -> MediaxError | None:
    """
    Return what an answer says instead of "done", None if it says that.

    :param verb: what was wanted of the target, for a sentence.
    :param hide: blanks what must not be repeated.
    """
    envelope = _envelope(reply)
    of_cos = bool(envelope) or REQUEST_ID in reply.headers
    if 200 <= reply.status < 300 and of_cos and not envelope:
        return None
    code = text(envelope.get("Code"))
    said = text(envelope.get("Message")) or (not of_cos and plain_words(reply)) or ""
    error = _error(reply, code, of_cos, verb, target)
    if said and not isinstance(error, NotFound):
        error.what = f"{error.what}: {hide(said)[:500]}"
    error.status = reply.status
    error.code = code and hide(code)[:100]
    request_id = text(envelope.get("RequestId")) or reply.headers.get(REQUEST_ID)
    error.request_id = request_id and hide(request_id)[:100]
    error.retry_after = reply.retry_after
    return error


def _error(reply: Reply, code: str | None, of_cos: bool, verb: str, target: Target) -> MediaxError:
    status = reply.status
    refused = f"COS refused to {verb} {target}"
    if 300 <= status < 400:
        what = f"COS was asked to {verb} {target}, and the answer leads to {redirect_target(reply)}"
        return BadRequest(what, advice=_REGION) if code else ProtocolError(what, advice=_PLACE)
    if not of_cos and (status < 500 and status != 429):
        return ProtocolError(f"Something other than COS answered the request to {verb} {target}", advice=_PLACE)
    if slowed_down(reply):
        return Throttled(f"{refused} for its rate limit")
    if status < 300 or code in _PASSING or (outcome_unknown(status) and status != 501):
        return Unavailable(f"COS could not {verb} {target}")
    return _final(status, code, refused, target)


def _final(status: int, code: str | None, refused: str, target: Target) -> MediaxError:
    """Return what COS itself means to last."""
    if status in (401, 403):
        return AuthenticationFailed(refused, advice=_KEYS)
    if status == 412:
        return Unavailable(f"{refused}: the object was replaced meanwhile")
    if code == "NoSuchBucket" or (status == 404 and not target.key):
        where = f"There is no cos://{target.bucket}/ in region {target.region}"
        rule = "a bucket of another region is named in the connection's field bucket_regions"
        return NotFound(f"{where}; {rule}", filename=str(target), advice="")
    if status == 404:
        # A HEAD request cannot say whether it is the object that is missing, or the bucket.
        advice = "" if code else _REGION
        return NotFound(f"There is no {target} in region {target.region}", filename=str(target), advice=advice)
    return BadRequest(refused, advice="")


def _envelope(reply: Reply) -> JsonObject:
    """Return the content of an error, which COS gives as XML or as JSON; empty if the body is none."""
    start = reply.body[:200].lstrip(b"\xef\xbb\xbf \t\r\n")
    try:
        if reply.status >= 300 and start[:1] == b"{":
            said = parse_json(reply.body, "The answer")
            found = {name.title(): value for name, value in said.items()} if isinstance(said, dict) else {}
            inner = member(found, "Error")
            found = {name.title(): value for name, value in inner.items()} or found
            known = {"Code": text(found.get("Code")), "Message": text(found.get("Message"))}
            return {**known, "RequestId": text(found.get("Requestid"))} if known["Code"] else {}
        if start[:1] == b"<" and (reply.status >= 300 or b"<Error" in reply.body[:1000]):
            root, content = read_xml(reply.body, "The answer")
            return content if root == "Error" else {}
    except ProtocolError:
        pass
    return {}
