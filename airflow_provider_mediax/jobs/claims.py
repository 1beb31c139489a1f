"""
The exclusive right to submit: one small object per send, created in a bucket only if there is none.

Asking a service alone cannot tell what another attempt is about to send. A bucket with create-only writes can: the
attempt that creates ``<prefix><marker>.0`` may send within ten seconds; what is sent later, or after an outcome that is
not known, needs the next number. An attempt that meets another one's claim waits until nothing of it can still arrive.
No attempt removes a claim.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, MutableSet
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from airflow_provider_mediax.client.clock import steady
from airflow_provider_mediax.exceptions import LookupFailed, MediaxError
from airflow_provider_mediax.jobs.stored import Claim, Owner, Unreadable
from airflow_provider_mediax.protocol.cos_objects import Stored
from airflow_provider_mediax.protocol.exchange import Call, Flow, Repeat, Reply
from airflow_provider_mediax.protocol.job import Job
from airflow_provider_mediax.protocol.urls import CosAddress

T = TypeVar("T")

ENTITLES = 10.0
"""Seconds from before the first byte of a claim within which a send begins."""

WHOLE_SECONDS = 2.0
"""Seconds added to a wait: COS writes whole seconds, and several machines write them."""

MOST_CLAIMS = 100
"""Claims of one marker, above which something else is wrong."""

FRESH_TOKENS = 3
"""How often one name is asked for, if COS neither answers nor holds it."""


class KeptBack(MediaxError):
    """
    A submit was not sent, because the right to send it could not be had.

    :param job: what another attempt has submitted meanwhile.
    :param trouble: what went wrong, if there is no such job.
    """

    nothing_done = True

    def __init__(self, job: Job | None, trouble: MediaxError | None = None) -> None:
        super().__init__("The submit was not sent")
        self.job = job
        self.trouble = trouble


class ClaimStore(Protocol):
    """A bucket, as far as claims need it: ``protocol.cos_objects.CosObjects``."""

    def create(self, key: str, body: bytes, *, repeat: Repeat = ...) -> Flow[bool]:
        """Write an object if there is none, and tell whether it was this call that wrote it."""

    def read(self, key: str) -> Flow[Stored | None]:
        """Return an object, None if there is none."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """
    Another attempt's claim, the highest there is.

    :param owner: who wrote it, for the log.
    :param seconds: from now until nothing that it entitles to can still reach the service.
    """

    number: int
    owner: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Claims:
    """
    Where the claims of a connection lie, and what this process needs to ask for one.

    :param folder: their keys begin with its key.
    :param longest_send: seconds from the begin of a submit of this process after which the service has received it
        or never will.
    :param proved: folders whose bucket has refused a second write in this process.
    :param monotonic: seconds of a clock that nobody sets and that runs while the machine sleeps.
    :param clock: epoch seconds; whichever of the two clocks says that more time has passed is believed.
    :param token: makes a text that nothing else has.
    """

    store: ClaimStore
    folder: CosAddress
    longest_send: float
    proved: MutableSet[CosAddress]
    monotonic: Callable[[], float] = steady
    clock: Callable[[], float] = time.time
    token: Callable[[], str] = field(default=lambda: secrets.token_hex(16))

    def of(self, marker: str, owner: Owner) -> MarkerClaims:
        """Return the claims of one marker, as an attempt knows them at its begin: none."""
        return MarkerClaims(self, marker, f"{owner.dag_id} {owner.run_id} {owner.task_id} {owner.map_index}")

    def probe(self) -> Flow[bool]:
        """
        Tell whether the bucket keeps what it is asked to keep, by one object that is written twice.

        It is the only one of its name, stays, and is of no marker.
        """
        key = f"{self.folder.key}check"
        yield from self.store.create(key, b"written twice by airflow-mediax check", repeat=Repeat.SAFE)
        replaced = yield from self.store.create(key, b"written twice by airflow-mediax check", repeat=Repeat.SAFE)
        return not replaced


class MarkerClaims:
    """
    What an attempt knows of the claims of its marker: every number below the next was read or created.

    :ivar asked: whether this attempt has created any claim.
    """

    def __init__(self, claims: Claims, marker: str, owner: str) -> None:
        self._claims = claims
        self._marker = marker
        self._owner = owner
        self._next = 0
        self._age: _Age | None = None
        self.asked = False

    @property
    def entitled(self) -> bool:
        """
        Whether a send may begin now, the first one or one after a provable refusal.

        After an unknown outcome the service is asked for longer than a claim lasts, so the next send has another one.
        """
        return self._age is not None and self._age.seconds() <= ENTITLES

    @property
    def first(self) -> bool:
        """Whether nobody has claimed before this attempt, so that nobody with claims has sent."""
        return self._next == 1 and self.asked

    def ask(self) -> Flow[Foreign | None]:
        """
        Create the next claim, or find the highest of the others.

        :raises LookupFailed: the bucket cannot be asked, or replaces what it should keep, or there are more claims than
            one job can have. Another attempt may have submitted a job, so this is for a later try to find out.
        """
        self._age = None
        if self._next >= MOST_CLAIMS:
            raise self._too_many()
        for _ in range(FRESH_TOKENS):
            # Each token is written once: what an earlier write has left looks like what a later one leaves.
            claim = self._claim()
            age = _Age(self._claims)
            try:
                created = yield from self._claims.store.create(self._key(self._next), claim.written())
            except MediaxError as lost:
                if lost.nothing_done:
                    raise self._unusable(lost) from lost
                created = False  # or not: the object says whose it is
            if created:
                yield from self._prove(claim)
                self._take(age)
                return None
            found = yield from self._read(self._next)
            if found is None:
                continue  # what may still arrive bears a token that is given up
            theirs = Claim.read(found.body)
            if isinstance(theirs, Claim) and theirs.token == claim.token:
                self._take(age)
                return None
            return (yield from self._highest(found))
        what = f"Claim {self._address}.{self._next} could not be written, so nothing was submitted"
        raise LookupFailed(what, marker=self._marker)

    def _take(self, age: _Age) -> None:
        self._age = age
        self._next += 1
        self.asked = True

    def _highest(self, found: Stored) -> Flow[Foreign]:
        """Go up to the highest claim: its owner has seen to the ones below."""
        for number in range(self._next, MOST_CLAIMS):
            above = yield from self._read(number + 1)
            if above is None:
                self._next = number + 1
                return self._foreign(number, found)
            found = above
        raise self._too_many()

    def _foreign(self, number: int, found: Stored) -> Foreign:
        claim = Claim.read(found.body)
        longest, owner = Claim.LONGEST_SEND, "a claim that cannot be read"
        if not isinstance(claim, Unreadable):
            longest, owner = claim.longest_send, claim.owner
        lasts = ENTITLES + max(longest, self._claims.longest_send) + WHOLE_SECONDS
        return Foreign(number, owner, max(0.0, found.written_at + lasts - found.read_at))

    def _prove(self, claim: Claim) -> Flow[None]:
        """Write the first claim of a process and folder again: a bucket that takes it keeps nobody from sending."""
        claims = self._claims
        if claims.folder in claims.proved:
            return
        try:
            replaced = yield from claims.store.create(self._key(self._next), claim.written(), repeat=Repeat.SAFE)
        except MediaxError as error:
            raise self._unusable(error) from error
        if replaced:
            raise LookupFailed(
                f"The bucket of claims={claims.folder} replaces objects that it is asked to keep",
                advice="Name a bucket that never had versioning in the connection's claims, or leave the field empty.",
                marker=self._marker,
            )
        claims.proved.add(claims.folder)

    def _read(self, number: int) -> Flow[Stored | None]:
        try:
            return (yield from self._claims.store.read(self._key(number)))
        except MediaxError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: MediaxError) -> LookupFailed:
        what = f"Claims in {self._claims.folder} cannot be asked for, so nothing was submitted: {error.what}"
        facts = {**error.facts(), "marker": self._marker}
        return LookupFailed(what, advice=error.advice, **facts)

    def _too_many(self) -> LookupFailed:
        what = f"{MOST_CLAIMS} claims lie at {self._address}, more than one job can need"
        return LookupFailed(what, marker=self._marker)

    @property
    def _address(self) -> str:
        return f"{self._claims.folder}{self._marker}"

    def _key(self, number: int) -> str:
        return f"{self._claims.folder.key}{self._marker}.{number}"

    def _claim(self) -> Claim:
        claims = self._claims
        return Claim(token=claims.token(), owner=self._owner, at=claims.clock(), longest_send=claims.longest_send)


def entitled(flow: Flow[T], entitle: Callable[[], Flow[object]]) -> Flow[T]:
    """Return a submit's flow that carries ``entitle`` out before each sending of what buys something."""
    answer: Reply | None = None
    try:
        step = next(flow)
        while True:
            if isinstance(step, Call) and step.repeat is Repeat.NEVER:
                step = replace(step, entitle=entitle)
            try:
                answer = yield step
            except MediaxError as error:
                step = flow.throw(error)
            else:
                step = flow.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        flow.close()


class _Age:
    """How long ago a claim began to be written, by two clocks."""

    def __init__(self, claims: Claims) -> None:
        self._clocks = (claims.monotonic, claims.clock)
        self._began = [clock() for clock in self._clocks]

    def seconds(self) -> float:
        """Return the age by the clock that says more: one of them may stand still or be set back."""
        return max(clock() - began for clock, began in zip(self._clocks, self._began, strict=True))
