"""
Small objects of one bucket as flows: written only where there is none, read, listed, deleted, appended to.

For what the job engine itself keeps in a bucket, in a worker and in a triggerer alike. Users' files go through
``hooks.cos``, which can do more. The facts are those of the COS API: PUT, GET, HEAD, DELETE and APPEND Object, and
GET Bucket.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple, NoReturn
from urllib.parse import unquote

from airflow_provider_mediax.exceptions import BadRequest, MediaxError, NotFound, ProtocolError
from airflow_provider_mediax.protocol.ci.xml import read_xml
from airflow_provider_mediax.protocol.cos_answers import Target, refusal, slowed_down
from airflow_provider_mediax.protocol.cos_host import BucketAccess, CosHost
from airflow_provider_mediax.protocol.cos_signature import NOTHING
from airflow_provider_mediax.protocol.exchange import Call, Flow, JsonObject, Repeat, Reply
from airflow_provider_mediax.protocol.json_body import member, objects, text

FORBID_OVERWRITE = "x-cos-forbid-overwrite"
"""Header of a PUT that must not replace an object; without effect in a bucket that ever had versioning."""

VERSION_ID = "x-cos-version-id"
"""Header of an answer about an object of a bucket with versioning."""

THERE_ALREADY = "FileAlreadyExists"
"""Code of the refusal to replace an object; HTTP status 409."""

PAGE_SIZE = 1000
"""Most keys on one page of a list."""

MOST_PAGES = 1000
"""Pages that are read of one list, before it counts as endless."""

_NOT_APPENDED = frozenset(("AppendPositionErr", "ObjectNotAppendable"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """
    An object as COS answered about it.

    :param size: bytes.
    :param written_at: epoch seconds of COS's clock at which it was written, in whole seconds.
    :param read_at: epoch seconds of the same clock at which the answer was given, likewise.
    :param body: empty where it was not asked for.
    """

    size: int
    written_at: float
    read_at: float
    body: bytes = field(default=b"", repr=False)


class Listed(NamedTuple):
    """
    An object as a list names it.

    :param size: bytes.
    :param written_at: epoch seconds of COS's clock.
    """

    key: str
    size: int
    written_at: float


class Expiration(NamedTuple):
    """
    A lifecycle rule that deletes objects.

    :param name: of the rule.
    :param prefix: of the keys that it deletes.
    :param days: after their last write; 0 where the rule names a date.
    """

    name: str
    prefix: str
    days: int


class Page(NamedTuple):
    """
    One page of a list, in the order of the keys' UTF-8 bytes.

    :param following: the key after which the next page begins, None on the last one.
    """

    objects: Sequence[Listed]
    following: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CosObjects(BucketAccess):
    """The objects of one bucket. The connection's ``requests_per_second`` does not count these calls."""

    def create(self, key: str, body: bytes, *, repeat: Repeat = Repeat.NEVER) -> Flow[bool]:
        """
        Write an object if there is none of that key.

        :param repeat: by default it is sent once: after a lost answer nobody knows whose object is there.
        :return: whether this call has written it; False says that there is one.
        :raises BadRequest: the bucket has versioning, so that it replaces what it is asked to keep.
        :raises Unavailable: it is not known whether the object was written.
        """
        headers = {FORBID_OVERWRITE: "true", "Content-Type": "application/octet-stream"}
        reply = yield self._call("PutObject", "PUT", key, headers=headers, body=body, repeat=repeat)
        try:
            answer = self._read("create", key, reply)
        except MediaxError as error:
            if error.code == THERE_ALREADY:
                return False
            raise
        if VERSION_ID in answer.headers:
            raise BadRequest(
                f"Bucket {self.bucket} has versioning, so COS replaces objects that it is asked to keep",
                advice="Name a bucket that never had versioning: it cannot be undone, only suspended.",
            )
        return True

    def read(self, key: str) -> Flow[Stored | None]:
        """Return an object, None if there is none of that key."""
        reply = yield self._call("GetObject", "GET", key)
        return self._stored("read", key, reply)

    def head(self, key: str) -> Flow[Stored | None]:
        """Return an object without its content, None if it or its bucket is missing: the answer cannot say which."""
        reply = yield self._call("HeadObject", "HEAD", key)
        return self._stored("look at", key, reply)

    def page(self, prefix: str, *, after: str | None = None, limit: int = PAGE_SIZE) -> Flow[Page]:
        """
        List objects.

        :param prefix: of their keys.
        :param after: a key; only later ones are listed.
        :param limit: most objects on the page, 1 to 1000.
        """
        query = {"prefix": prefix, "marker": after or "", "max-keys": str(limit), "encoding-type": "url"}
        reply = yield self._call("ListObjects", "GET", "", {name: said for name, said in query.items() if said})
        answer = self._read("list", "", reply)
        root, content = read_xml(answer.body, f"The list of cos://{self.bucket}/")
        return self._page(content, after or "") if root == "ListBucketResult" else self._unreadable("list", answer)

    def every(self, prefix: str) -> Flow[list[Listed]]:
        """
        List all objects below a prefix, page after page.

        :raises ProtocolError: the list has no end.
        """
        found: list[Listed] = []
        after: str | None = None
        for _ in range(MOST_PAGES):
            page = yield from self.page(prefix, after=after)
            found += page.objects
            if page.following is None:
                return found
            after = page.following
        raise ProtocolError(f"cos://{self.bucket}/{prefix} holds more than {MOST_PAGES * PAGE_SIZE} objects")

    def expirations(self) -> Flow[list[Expiration]]:
        """Return the enabled lifecycle rules that delete objects without tags, such as those that are written here."""
        verb = "read the lifecycle rules of"
        reply = yield self._call("GetBucketLifecycle", "GET", "", {"lifecycle": ""})
        try:
            answer = self._read(verb, "", reply)
        except NotFound as none:
            if none.code != "NoSuchLifecycleConfiguration":
                raise
            return []
        root, content = read_xml(answer.body, f"The lifecycle rules of cos://{self.bucket}/")
        if root != "LifecycleConfiguration":
            self._unreadable(verb, answer)
        rules = [_expiration(rule) for rule in objects(content.get("Rule"))]
        return [rule for rule in rules if rule is not None]

    def delete(self, key: str) -> Flow[None]:
        """Delete an object, if there is one."""
        reply = yield self._call("DeleteObject", "DELETE", key)
        try:
            self._read("delete", key, reply)
        except NotFound as missing:
            if missing.code != "NoSuchKey":
                raise

    def append(self, key: str, body: bytes, *, position: int = 0) -> Flow[bool]:
        """
        Write at the end of an appendable object; at position 0 it is made.

        :param position: bytes that the object has.
        :return: whether this call has written; False says that the object is longer or shorter, or not appendable.
        :raises Unavailable: it is not known whether it was written.
        """
        query = {"append": "", "position": str(position)}
        headers = {"Content-Type": "application/octet-stream"}
        reply = yield self._call("AppendObject", "POST", key, query, headers=headers, body=body, repeat=Repeat.NEVER)
        try:
            self._read("append to", key, reply)
        except MediaxError as error:
            if error.code in _NOT_APPENDED:
                return False
            raise
        return True

    def _call(
        self,
        action: str,
        method: str,
        key: str,
        query: Mapping[str, str] = NOTHING,
        *,
        headers: Mapping[str, str] = NOTHING,
        body: bytes = b"",
        repeat: Repeat = Repeat.SAFE,
    ) -> Call:
        host = CosHost(
            name=self._target(key).host,
            keys=self.keys,
            token_header="x-cos-security-token",  # noqa: S106 - the name of a header
            throttled=slowed_down,
            endpoint=self.endpoint,
            paced=False,
        )
        return host.call(action, method, f"/{key}", query, headers=headers, body=body, repeat=repeat)

    def _target(self, key: str) -> Target:
        return Target(self.bucket, self.region, key)

    def _read(self, verb: str, key: str, reply: Reply | None, *, whole: bool = True) -> Reply:
        """
        Return an answer that says that it is done.

        :param whole: the body is COS's own; that of an object may look like anything.
        """
        if reply is None:
            raise ProtocolError(f"COS was asked to {verb} {self._target(key)}, and there was no answer")
        judged = reply if whole or reply.status >= 300 else Reply(reply.status, reply.headers, b"")
        if (error := refusal(judged, verb, self._target(key), self.keys.hide)) is not None:
            raise error
        return reply

    def _stored(self, verb: str, key: str, reply: Reply | None) -> Stored | None:
        try:
            answer = self._read(verb, key, reply, whole=False)
        except NotFound as missing:
            if missing.code in (None, "NoSuchKey"):
                return None
            raise
        written_at, read_at = (_moment(answer.headers.get(name)) for name in ("last-modified", "date"))
        if written_at is None or read_at is None:
            self._unreadable(verb, answer, key)
        size = answer.headers.get("content-length", "")
        return Stored(
            size=int(size) if size.isdecimal() else len(answer.body),
            written_at=written_at,
            read_at=read_at,
            body=answer.body,
        )

    def _page(self, content: JsonObject, after: str) -> Page:
        try:
            found = [
                Listed(
                    unquote(entry["Key"]), int(entry["Size"]), datetime.fromisoformat(entry["LastModified"]).timestamp()
                )
                for entry in objects(content.get("Contents"))
            ]
            more = content["IsTruncated"] == "true"
        except (KeyError, ValueError) as error:
            what = f"COS was asked to list cos://{self.bucket}/, and the answer cannot be read: {type(error).__name__}"
            raise ProtocolError(what) from None
        following = unquote(text(content.get("NextMarker")) or "") or (found[-1].key if found else "")
        if more and following.encode() <= after.encode():  # a list that stands still would never end
            raise ProtocolError(f"COS listed cos://{self.bucket}/ without coming to an end")
        return Page(found, following if more else None)

    def _unreadable(self, verb: str, answer: Reply, key: str = "") -> NoReturn:
        what = f"The answer to the request to {verb} {self._target(key)} lacks what COS always says"
        raise ProtocolError(what, status=answer.status)


def _expiration(rule: JsonObject) -> Expiration | None:
    chosen, ends = member(rule, "Filter"), member(rule, "Expiration")
    if text(rule.get("Status")) != "Enabled" or not ends or "Tag" in chosen or "Tag" in member(chosen, "And"):
        return None
    named = (chosen.get("Prefix"), member(chosen, "And").get("Prefix"), rule.get("Prefix"))
    prefix = next(filter(None, map(text, named)), "")
    days = text(ends.get("Days")) or "0"
    return Expiration(text(rule.get("ID")) or "without a name", prefix, int(days) if days.isdecimal() else 0)


def _moment(header: str | None) -> float | None:
    """Return the epoch seconds of a date in a header, None if it is none."""
    try:
        return parsedate_to_datetime(header or "").timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
