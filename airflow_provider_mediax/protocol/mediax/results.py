"""
Results of the music platform: views and addresses of files (API reference sections 6 and 9).

Answers are read tolerantly: numbers arrive as strings, dimensions are missing or empty, wrappers are misspelt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from airflow_provider_mediax.protocol.exchange import JsonObject
from airflow_provider_mediax.protocol.job import Job, JobState
from airflow_provider_mediax.protocol.json_body import member, objects, text
from airflow_provider_mediax.protocol.mediax.capabilities import CAPABILITIES
from airflow_provider_mediax.protocol.mediax.request import PREFIX_MEMBER, Repository
from airflow_provider_mediax.protocol.rows import Place, Result, ResultView, files_in, names_file
from airflow_provider_mediax.protocol.urls import CosAddress, named_url, object_address

RepositoryOf: TypeAlias = Callable[[str | None], Repository]
"""Tells what is known of a repository by its id; of the connection's own without one."""


def read_result(job: Job, repository_of: RepositoryOf) -> ResultView:
    """
    Read a job's result as far as it is there; a job of several outputs is read in full.

    Each file has its full address from here on: where its output lies is known only here.
    """
    outputs = objects(job.raw.get("outputs"))
    names: list[str] = []
    views: list[JsonObject] = []
    files: list[str] = []
    unresolved: list[str] = []
    for output in outputs:
        content = member(output, "smartContentResult")
        name = _capability_of(output)
        names.append(name)
        directory = (text(output.get("destination")) or "/").strip("/")
        bucket = _bucket_of(output, repository_of)
        if bucket:
            content = _resolved(content, bucket, directory)
            files += [file for _, file in files_in(content)]
        else:
            unresolved += [f"{directory}/{file.lstrip('/')}".lstrip("/") for _, file in files_in(content)]
        finished = job.state is JobState.SUCCEEDED or content
        views.append(result_of(name).view(content) if finished else {})
    inputs = [_input_of(job, output, repository_of) for output in outputs or ({},)]
    # What was asked of another input is a fact of its output, and its rows must say so.
    result = views[0] if len(views) == 1 else ({"outputs": views, "inputs": inputs} if views else {})
    return ResultView(
        ",".join(names) or "unknown", result, files, unresolved, inputs[0], _place(outputs, repository_of)
    )


def result_of(capability: str) -> type[Result]:
    """Return how a capability's result is read; of one that is not known, as it came."""
    for name, kind in CAPABILITIES.items():
        if capability == name or capability in kind.spellings:
            return kind
    return Result


def _capability_of(output: JsonObject) -> str:
    descriptor = member(output, "smartContentDescriptor") or member(output, "smartContentResult")
    return next((name for name in descriptor if name != PREFIX_MEMBER), "unknown")


def _bucket_of(places: JsonObject, repository_of: RepositoryOf) -> str | None:
    """Return the bucket of what an answer says lies in a repository."""
    content_id = text(places.get("contentId"))
    return repository_of(content_id).bucket if content_id else None


def _place(outputs: list[JsonObject], repository_of: RepositoryOf) -> Place:
    content_id = next((text(output.get("contentId")) for output in outputs), None)
    repository = repository_of(content_id)
    region = repository.bucket_regions.get(repository.bucket or "") or repository.region
    return Place(content_id=content_id, bucket=repository.bucket, region=region)


def _resolved(content: Any, bucket: str, directory: str) -> Any:
    """Return an answer in which each file stands with its full address."""
    if isinstance(content, list):
        return [_resolved(item, bucket, directory) for item in content]
    if not isinstance(content, dict):
        return content
    return {
        name: str(CosAddress(bucket, f"{directory}/{value.lstrip('/')}".lstrip("/")))
        if names_file(name, value)
        else _resolved(value, bucket, directory)
        for name, value in content.items()
    }


def _input_of(job: Job, output: JsonObject, repository_of: RepositoryOf) -> str | None:
    """Return the address of the first input that an output was computed from; text and no input have none."""
    inputs, selectors = job.raw.get("inputs"), output.get("inputSelectors")
    chosen = selectors[0] if isinstance(selectors, list) and selectors else 0
    if isinstance(inputs, list) and type(chosen) is int and 0 <= chosen < len(inputs):
        inputs = inputs[chosen:]
    first = next(iter(objects(inputs)), {})
    if url := text(first.get("url")):
        address = object_address(url)
        return str(address) if address else named_url(url)
    source = member(first, "source")
    if path := text(source.get("path")):
        bucket = _bucket_of(source, repository_of)
        return str(CosAddress(bucket, path.lstrip("/"))) if bucket else path
    return None
