"""
Everything that outlives a process, in one place: what is written, and how it is read by other versions of the code.

Records, waits, events, trigger arguments and manifests lie in Airflow's database while the code is upgraded. Each
carries its ``schema``. A reader takes what its own and earlier versions wrote; of a later ``schema``, and of what
somebody cut or edited, it says that it is unreadable, which is not the same as "there is nothing".
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from airflow_provider_mediax import exceptions
from airflow_provider_mediax.exceptions import BadRequest, MediaxError
from airflow_provider_mediax.jobs.manifest import Manifest
from airflow_provider_mediax.protocol.exchange import JsonObject
from airflow_provider_mediax.protocol.json_body import text
from airflow_provider_mediax.protocol.rows import Place

if TYPE_CHECKING:
    from airflow_provider_mediax.protocol.job import Job
    from airflow_provider_mediax.protocol.service import JobService

T = TypeVar("T")

SCHEMA = 1
"""Of everything that is written here. A reader that meets a later one must not guess what it means."""

RECORD_KEY = "mediax_job"
"""Where the record lies in Airflow's task state store."""

JOB_ID_KEY = "job_id"
"""XCom of the job's id, pushed before a task defers: for other tasks, and for what follows a lost deferral."""

WAIT_KEY = "mediax_wait"
"""XCom of what the wait needs after a resume: Airflow loses a deferral's arguments when its own timeout strikes."""

MANIFEST_KEY = "manifest"
"""XCom of the manifest of a job whose result is missing."""

INLINE_LIMIT = 48 * 1024
"""Bytes of JSON that a result may have inside the manifest."""


def digest(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON, in hex."""
    canonical = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


_NOT_GIVEN = digest(None)[:16]
"""What the first records hold for a field that was not given."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """
    Something is stored, and this code cannot tell what it says.

    :param reason: why not, for the log.
    """

    reason: str


def readable(stored: object) -> Mapping[str, Any] | Unreadable:
    """Return what is stored if its schema is known here."""
    if not isinstance(stored, Mapping):
        return Unreadable(f"it is a {type(stored).__name__}, not an object")
    schema = stored.get("schema")
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        return Unreadable("it names no schema")
    if schema > SCHEMA:
        return Unreadable(f"a later version wrote it (schema {schema}, known up to {SCHEMA})")
    return stored


def _parsed(stored: object, parse: Callable[[Mapping[str, Any]], T]) -> T | Unreadable:
    known = readable(stored)
    if isinstance(known, Unreadable):
        return known
    try:
        return parse(known)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as damage:
        return Unreadable(f"a member is missing or damaged ({type(damage).__name__})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The task instance that a job belongs to, whatever its try."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What a clear has left behind: the job of an earlier generation, or only the intent to submit one."""

    generation: int
    marker: str
    job_id: str | None

    @classmethod
    def parse(cls, stored: Mapping[str, Any]) -> Earlier:
        """Read one member of a record's ``earlier``."""
        return cls(
            generation=read_whole(stored["generation"]),
            marker=read_text(stored["marker"]),
            job_id=read_text_or_none(stored.get("job_id")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """
    What the task state store knows of a job: an intent before the submit, completed by its id after the answer.

    :param fields: digest of each field of the request, so that a change can be named without storing values.
    :param at: epoch seconds of the intent.
    :param job_id: None as long as it is only an intent.
    :param claimed: the connection had claims, so nothing is sent without one.
    :param refused: the attempt ended with a refusal which proves that its submit created nothing.
    :param shared: the marker is of an ``idempotency_key``, so other tasks may wait for the job.
    :param abandoned: ids of failed jobs that were replaced on purpose.
    :param earlier: the generations before this one, oldest first.
    """

    schema: int = SCHEMA
    generation: int
    marker: str
    fields: dict[str, str]
    at: float
    job_id: str | None = None
    claimed: bool = False
    refused: bool = False
    shared: bool = False
    abandoned: list[str] = field(default_factory=list)
    earlier: list[Earlier] = field(default_factory=list)

    @classmethod
    def read(cls, stored: object) -> Record | Unreadable | None:
        """Read a stored record; None if there is none."""
        return None if stored is None else _parsed(stored, cls._parse)

    @classmethod
    def _parse(cls, stored: Mapping[str, Any]) -> Record:
        digests = {read_text(name): read_text(value) for name, value in stored["fields"].items()}
        return cls(
            generation=read_whole(stored["generation"]),
            marker=read_text(stored["marker"]),
            fields={name: value for name, value in digests.items() if value != _NOT_GIVEN},
            at=read_number(stored["at"]),
            job_id=read_text_or_none(stored["job_id"]),
            claimed=read_flag(stored.get("claimed", False)),
            refused=read_flag(stored.get("refused", False)),
            shared=read_flag(stored.get("shared", False)),
            abandoned=read_texts(stored.get("abandoned", [])),
            earlier=[Earlier.parse(left) for left in read_list(stored.get("earlier", []))],
        )

    def written(self) -> JsonObject:
        """Return what is stored."""
        return asdict(self)

    def as_earlier(self) -> Earlier:
        """Return what the next generation's record keeps of this one."""
        return Earlier(generation=self.generation, marker=self.marker, job_id=self.job_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """
    What a deferred task waits for, as an XCom: Airflow loses a deferral's own arguments when its timeout strikes.

    :param deadline: epoch seconds; the same for the whole attempt.
    :param reattached: whether the job was there before this attempt.
    """

    schema: int = SCHEMA
    job_id: str
    marker: str
    deadline: float
    reattached: bool

    @classmethod
    def read(cls, stored: object) -> Pending | Unreadable | None:
        """Read what was stored; None if nothing was."""
        if isinstance(stored, Mapping):
            stored = {"schema": 1, **stored}  # the first ones named none
        return None if stored is None else _parsed(stored, cls._parse)

    @classmethod
    def _parse(cls, stored: Mapping[str, Any]) -> Pending:
        return cls(
            job_id=read_text(stored["job_id"]),
            marker=read_text(stored["marker"]),
            deadline=read_number(stored["deadline"]),
            reattached=read_flag(stored["reattached"]),
        )

    def written(self) -> JsonObject:
        """Return what is stored."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """
    The body of a claim in a bucket: who may send, and how long that can take. It holds no secret.

    :param token: no other writing of a claim has it.
    :param at: epoch seconds, by the writer's clock: for people alone.
    :param longest_send: seconds from the begin of a send of the owner after which it has arrived or never will, at
        most :data:`LONGEST_SEND`.
    """

    LONGEST_SEND: ClassVar[float] = 360.0
    """What the largest timeouts of a connection add up to; also of a claim that cannot be read."""

    schema: int = SCHEMA
    token: str
    owner: str
    at: float
    longest_send: float

    @classmethod
    def read(cls, body: bytes) -> Claim | Unreadable:
        """Read what lies in the bucket."""
        try:
            stored = json.loads(body)
        except (ValueError, RecursionError) as damage:
            return Unreadable(f"it is not JSON ({type(damage).__name__})")
        return _parsed(stored, cls._parse)

    @classmethod
    def _parse(cls, stored: Mapping[str, Any]) -> Claim:
        longest_send = read_number(stored["longest_send"])
        if not 0 < longest_send <= cls.LONGEST_SEND:
            raise ValueError("no send takes so long")
        return cls(
            token=read_text(stored["token"]),
            owner=read_text(stored["owner"]),
            at=read_number(stored["at"]),
            longest_send=longest_send,
        )

    def written(self) -> bytes:
        """Return what is stored."""
        return json.dumps(asdict(self)).encode()


@dataclass(frozen=True, slots=True)
class JobEvent:
    """
    What a trigger's event says: a hint, since on resume the job itself is read.

    :param status: ``final``, ``timeout`` or ``error``; ``unreadable`` if it says nothing.
    :param states: the service's word for each job's state, as far as it was known.
    :param error: why the wait was given up.
    :param polls: how many answers the trigger got, for the metrics; an event that does not say so counts none.
    """

    status: str
    states: Mapping[str, str] = field(default_factory=dict)
    error: MediaxError | None = None
    polls: int = 0

    def payload(self) -> JsonObject:
        """
        Return what is stored, in plain text.

        An error is reduced to its class and ids: its words may say more than a database should know.
        """
        return {
            "schema": SCHEMA,
            "status": self.status,
            "states": dict(self.states),
            "error": error_facts(self.error),
            **({"polls": self.polls} if self.polls else {}),
        }

    @classmethod
    def read(cls, payload: object, job_id: str) -> JobEvent:
        """
        Read an event that is to be about a job; one that is not, or is unreadable, says nothing.

        On sqlite, which uses row ids again, an event can reach another task than the one it was meant for.
        """
        said = readable(payload)
        states = None if isinstance(said, Unreadable) else said.get("states")
        if isinstance(said, Unreadable) or not isinstance(states, Mapping) or (states and job_id not in states):
            return UNREADABLE_EVENT
        polls = said.get("polls")
        return cls(
            str(said.get("status")),
            dict(states),
            error_from(said.get("error")),
            polls if isinstance(polls, int) and not isinstance(polls, bool) and polls > 0 else 0,
        )


UNREADABLE_EVENT = JobEvent("unreadable")
"""The task that gets it goes on waiting: it ends nothing."""


def error_facts(error: MediaxError | None) -> JsonObject | None:
    """Return what an event may say of an error: its class, ids, status and code."""
    return None if error is None else {"class": type(error).__name__, **error.facts()}


def error_from(facts: object) -> MediaxError | None:
    """Return the error that an event tells of; a class that is not known here is a passing fault."""
    if not isinstance(facts, Mapping):
        return None
    kind = getattr(exceptions, str(facts.get("class")), None)
    if not (isinstance(kind, type) and issubclass(kind, MediaxError)):
        kind = exceptions.Unavailable
    known = {name: facts.get(name) for name in ("job_id", "marker", "request_id", "status", "code")}
    return kind(
        f"Waiting was given up after an error ({facts.get('class')}; the log of the trigger says more)", **known
    )


def manifest(service: JobService[Any], job: Job, owner: Owner | None, *, reattached: bool) -> Manifest:
    """
    Describe a job by what the service says of it and what the connection knows.

    :param owner: the task instance that it belongs to; None if that is not known.
    """
    view = service.view(job)
    return {
        "schema": SCHEMA,
        "service": service.name,
        "capability": view.capability,
        "job_id": job.id,
        "marker": job.marker,
        "state": job.state_name,
        "reattached": reattached,
        "owner": {
            "dag_id": owner.dag_id,
            "run_id": owner.run_id,
            "task_id": owner.task_id,
            "map_index": owner.map_index,
        }
        if owner
        else None,
        "input": view.input,
        "created_at": _iso(job.created_at),
        "started_at": _iso(job.started_at),
        "completed_at": _iso(job.completed_at),
        "place": {"content_id": view.place.content_id, "bucket": view.place.bucket, "region": view.place.region},
        "result": view.result,
        "files": view.files,
    }


def read_manifest(name: str, given: object) -> Mapping[str, Any]:
    """
    Return a manifest that this code understands.

    :param name: the argument that it was given as.
    :raises BadRequest: it is none, or a later version wrote it.
    """
    known = readable(given)
    if isinstance(known, Unreadable):
        rule = f"it must be what an operator or a sensor of a job returned, but {known.reason}."
        raise BadRequest.field(name, given, rule)
    for member, read in _MANIFEST_MEMBERS.items():
        try:
            read(known.get(member))
        except ValueError:
            rule = f"it must be what an operator or a sensor of a job returned, but its {member} is missing or damaged."
            raise BadRequest.field(name, sorted(map(str, known)), rule) from None
    return known


def owner_in(stored: Mapping[str, Any]) -> Owner | None:
    """Return whose job a manifest describes; None if it does not say so readably."""
    said = stored.get("owner")
    try:
        return Owner(**said) if isinstance(said, Mapping) else None
    except TypeError:
        return None


def place_in(stored: Mapping[str, Any]) -> Place:
    """Return where the files of a job lie that a manifest describes; nothing if it does not say so readably."""
    said = stored.get("place")
    known = said if isinstance(said, Mapping) else {}
    return Place(**{name: text(known.get(name)) for name in ("content_id", "bucket", "region")})


def too_large(result: JsonObject) -> bool:
    """Tell whether a result is too large to travel inside the manifest."""
    return len(json.dumps(result, ensure_ascii=False).encode("utf-8", "surrogatepass")) > INLINE_LIMIT


def unreadable_arguments(
    stored: Mapping[str, Any], readers: Mapping[str, Callable[[Any], object]]
) -> Unreadable | None:
    """
    Tell why a trigger's stored arguments cannot be read; None if they can.

    :param readers: what each argument must be: the functions below.
    """
    read = _parsed(stored, lambda known: [reader(known[name]) for name, reader in readers.items()])
    return read if isinstance(read, Unreadable) else None


def read_text(value: object) -> str:
    """Return a text that says something; raise ``ValueError`` for anything else, as all of these do."""
    if not isinstance(value, str) or not value:
        raise ValueError("no text")
    return value


def read_text_or_none(value: object) -> str | None:
    """Return a text that says something, or None."""
    return None if value is None else read_text(value)


def read_list(value: object) -> list[Any]:
    """Return a list of anything."""
    if not isinstance(value, (list, tuple)):
        raise ValueError("no list")
    return list(value)


def read_texts(value: object) -> list[str]:
    """Return a list of texts that say something."""
    return [read_text(item) for item in read_list(value)]


def read_flag(value: object) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise ValueError("neither true nor false")
    return value


def read_number(value: object) -> float:
    """Return a finite number."""
    number = math.nan if isinstance(value, bool) or not isinstance(value, (int, float)) else float(value)
    if not math.isfinite(number):
        raise ValueError("no number")
    return number


def read_object(value: object) -> Mapping[str, Any]:
    """Return a JSON object."""
    if not isinstance(value, Mapping):
        raise ValueError("no object")
    return value


def read_whole(value: object) -> int:
    """Return a whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("no whole number")
    return value


def _iso(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if moment else None


_MANIFEST_MEMBERS: Mapping[str, Callable[[object], object]] = {
    "job_id": read_text,
    "capability": read_text,
    "result": read_object,
    "files": lambda value: read_texts(value or []),
    "owner": lambda value: read_object(value or {}),
}
"""What a manifest must hold, or its reader refuses it."""
