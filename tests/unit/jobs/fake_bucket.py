"""A bucket in memory beside the music platform: create-only writes, whole seconds, and faults of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, MutableSet
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from airflow_provider_mediax.client.retry import TransportFailure
from airflow_provider_mediax.jobs.claims import Claims
from airflow_provider_mediax.jobs.identity import Identity
from airflow_provider_mediax.jobs.ownership import Owned
from airflow_provider_mediax.jobs.stored import Claim, digest
from airflow_provider_mediax.protocol.cos_objects import CosObjects
from airflow_provider_mediax.protocol.cos_signature import CosKeys
from airflow_provider_mediax.protocol.exchange import Call, Reply
from airflow_provider_mediax.protocol.urls import CosAddress
from tests.unit.jobs.clocks import Clocks, Time
from tests.unit.jobs.fake_platform import LONGEST_SEND, FakePlatform, service
from tests.unit.jobs.tasks import Task

FOLDER = CosAddress("claims-1250000000", "claims/")
KEYS = CosKeys(secret_id="id-of-a-user", secret_key="key-of-a-user")
OF_COS = {"x-cos-request-id": "r-1"}


@dataclass
class Bucket:
    """
    Objects by key, with the second in which each was written.

    :param keeps: whether it refuses to replace an object.
    :param versions: whether its answers say that it has versioning.
    """

    time: Time
    keeps: bool = True
    versions: bool = False
    objects: dict[str, tuple[bytes, int]] = field(default_factory=dict)

    def answer(self, call: Call) -> Reply:
        key = call.url.partition(".com/")[2]
        now = int(self.time.now)
        if call.action == "GetObject":
            if key not in self.objects:
                return Reply(404, OF_COS, b"<Error><Code>NoSuchKey</Code></Error>")
            body, written = self.objects[key]
            return Reply(200, {**OF_COS, "last-modified": formatdate(written), "date": formatdate(now)}, body)
        if key in self.objects and self.keeps:
            return Reply(409, OF_COS, b"<Error><Code>FileAlreadyExists</Code></Error>")
        self.objects[key] = call.body, now
        return Reply(200, {**OF_COS, "x-cos-version-id": "1"} if self.versions else OF_COS, b"")


@dataclass
class ClaimingPlatform(FakePlatform):
    """
    The platform and a bucket beside it.

    Faults of ``PutObject`` and ``GetObject``: ``lost`` carries the call out, ``dropped`` does not, ``late`` a write at
    the end of the call's bound, ``slow:N`` takes N seconds, a number is a status without anything done.
    """

    bucket: Bucket = field(init=False)
    before: dict[str, Callable[[], object]] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bucket = Bucket(self.time)

    def answer(self, call: Call) -> Reply:
        if (act := self.before.pop(call.action, None)) is not None:
            act()
        if call.action not in ("PutObject", "GetObject"):
            return super().answer(call)
        self.actions.append(call.action)
        if call.action == "PutObject":
            claim = Claim.read(call.body)
            assert isinstance(claim, Claim)
            self.tokens.append(claim.token)
        queue = self.faults.get(call.action)
        fault = queue.popleft() if queue else None
        if isinstance(fault, int):
            return Reply(fault, OF_COS, b"<Error><Code>Refused</Code></Error>")
        if fault == "dropped":
            raise TransportFailure("dropped", sent=True)
        reply = self.bucket.answer(call)
        if fault == "lost":
            raise TransportFailure("lost", sent=True)
        if fault is not None and fault.startswith("slow:"):
            self.time.now += float(fault.removeprefix("slow:"))
        return reply


@dataclass
class ClaimingTask(Task):
    """A task whose connection has claims."""

    platform: ClaimingPlatform = field(default_factory=ClaimingPlatform)
    proved: MutableSet[CosAddress] = field(default_factory=set)
    longest_send: float = LONGEST_SEND

    @property
    def bucket(self) -> Bucket:
        return self.platform.bucket

    @property
    def claimed(self) -> list[str]:
        """The numbers of the claims that there are."""
        return [key.rpartition(".")[2] for key in self.bucket.objects]

    def attempt(self, **options: Any) -> Owned:
        return super().attempt(**{"claims": self.claims(), **options})

    def claims(self) -> Claims:
        clocks = Clocks(self.platform.time)
        return Claims(
            store=CosObjects(bucket=FOLDER.bucket, region="ap-guangzhou", keys=KEYS),
            folder=FOLDER,
            longest_send=self.longest_send,
            proved=self.proved,
            monotonic=clocks.monotonic,
            clock=clocks.epoch,
            token=lambda: f"token-{next(_TOKENS)}",
        )

    def foreign(self, number: int = 0, *, longest_send: float = LONGEST_SEND) -> None:
        """Let another attempt have made a claim just now."""
        claim = Claim(token=f"foreign-{next(_TOKENS)}", owner="somebody", at=0.0, longest_send=longest_send)
        self.bucket.objects[f"claims/{self.marker}.{number}"] = claim.written(), int(self.platform.now)

    @property
    def marker(self) -> str:
        identity = Identity(namespace="test", owner=self.owner, generation=self.generation, **self.identity)
        return identity.marker(digest(service(self.platform).prepare(self.request).identity))


_TOKENS = itertools.count()
