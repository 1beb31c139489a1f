"""
What jobs have found, for a DAG's own tasks: the manifest's type, its flat rows, and the columns of a capability.

``def collect(manifest: Manifest) -> ...`` says what an operator returned. A TaskFlow task that returns a manifest
itself needs ``@task(multiple_outputs=False)``: Airflow takes a ``Mapping`` in the return annotation for several XComs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.jobs.manifest import Manifest, Owner, Place
from airflow_provider_mediax.protocol.rows import COMMON, Column

__all__ = ["Column", "Manifest", "Owner", "Place", "Row", "Schema", "rows", "schema"]

Row: TypeAlias = dict[str, Any]
"""One flat row: texts, finite numbers, whole numbers and null, by column."""


class Schema(NamedTuple):
    """
    The rows of a capability.

    :param version: grows when columns change their names or meaning.
    :param columns: in their order, those that all capabilities share first.
    """

    version: int
    columns: tuple[Column, ...]


def schema(capability: str) -> Schema:
    """
    Return the columns of a capability's rows.

    :param capability: its name on the wire, as in the manifest: ``musicTagV2``, ``VoiceSeparate``. One that has no
        operator of its own has its object as JSON text in one column.
    """
    from airflow_provider_mediax.hooks.registry import SERVICES
    from airflow_provider_mediax.protocol.rows import Result

    readers = (hook.service_type.result_of(capability) for hook in SERVICES.values())
    found = next((reader for reader in readers if reader is not Result), Result)
    return Schema(found.version, (*COMMON, *found.columns))


def rows(manifest: Manifest | Mapping[str, Any], mediax_conn_id: str = "mediax_default") -> list[Row]:
    """
    Return the flat rows of a finished job, one per tag, line or file.

    :param manifest: what an operator or a sensor returned.
    :param mediax_conn_id: connection that reads a result which is too large for XCom from COS.
    :return: each row with the columns of :func:`schema`; of a job with several outputs those of all of them.
    :raises BadRequest: it is something else than a manifest, or a later version wrote it.
    :raises MediaxError: the result lies in COS and cannot be read.
    """
    return [row for output in outputs(manifest, mediax_conn_id) for row in output.rows]


class Output(NamedTuple):
    """
    One output of a job; a job has one for each capability that it computes.

    :param facts: the columns that all its rows begin with.
    :param rows: what was found, which may be nothing.
    """

    facts: Row
    rows: list[Row]


def outputs(manifest: Manifest | Mapping[str, Any], mediax_conn_id: str) -> Iterator[Output]:
    """
    Yield each output of a job with its rows.

    :raises BadRequest: as :func:`rows`.
    :raises MediaxError: as :func:`rows`.
    """
    from airflow_provider_mediax.hooks.registry import SERVICES
    from airflow_provider_mediax.jobs.stored import owner_in, read_manifest

    stored = read_manifest("manifest", manifest)
    service = stored.get("service")
    if not isinstance(service, str) or service not in SERVICES:
        raise BadRequest.field("manifest", service, f"its service must be one of {', '.join(SERVICES)}.")
    result_of = SERVICES[service].service_type.result_of
    owner = owner_in(stored)
    common = {name: getattr(owner, name, None) for name in ("dag_id", "run_id", "task_id", "map_index")} | {
        "job_id": stored["job_id"],
        "input": stored.get("input"),
    }
    for capability, view, own in _outputs(stored["capability"], _result(stored, mediax_conn_id)):
        reader = result_of(capability)
        facts = {**common, **own, "capability": capability, "schema_version": reader.version}
        yield Output(facts, [{**facts, **row} for row in reader.rows(view)])


def _result(manifest: Mapping[str, Any], conn_id: str) -> dict[str, Any]:
    """Return a manifest's result, read from COS if it lies there, in the region of the job's files."""
    from airflow_provider_mediax.jobs.stored import place_in
    from airflow_provider_mediax.protocol.json_body import parse_json
    from airflow_provider_mediax.protocol.urls import cos_address

    result, place = manifest["result"], place_in(manifest)
    address = cos_address(str(result.get("uri"))) if set(result) == {"uri"} else None
    if address is None:
        return dict(result)
    from airflow_provider_mediax.hooks.cos import CosHook

    region = place.region if place.bucket == address.bucket else None
    cos = CosHook(conn_id, bucket=address.bucket, region=region)
    try:
        read = parse_json(cos.read_bytes(address.key), f"What lies at {address}")
    finally:
        cos.close()
    return read if isinstance(read, dict) else {}


def _outputs(capability: str, result: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield name, view and own facts of each output of a job."""
    names = capability.split(",")
    if len(names) == 1:
        yield capability, result, {}
        return
    views, inputs = ([*found] if isinstance(found := result.get(name), list) else [] for name in ("outputs", "inputs"))
    for place, (name, view) in enumerate(zip(names, views, strict=False)):
        if isinstance(view, dict):
            yield name, view, {"input": inputs[place]} if place < len(inputs) else {}
