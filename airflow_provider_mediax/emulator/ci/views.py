"""Jobs as Cloud Infinite prints them, and which of them a list shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from airflow_provider_mediax.emulator.ci.errors import CiError, invalid
from airflow_provider_mediax.emulator.ci.jobs import KNOWN_STATES, CiJob, State, StemFile
from airflow_provider_mediax.emulator.ci.submit import TAG
from airflow_provider_mediax.emulator.ci.wire import Tree, Value, read_time, time_text

_LIST_PARAMETERS = frozenset(
    {
        "endCreationTime",
        "inputObject",
        "nextToken",
        "orderByTime",
        "queueId",
        "size",
        "startCreationTime",
        "states",
        "tag",
    }
)


def job_tree(job: CiJob) -> Tree:
    """
    Return the node ``JobsDetail``; a finished job also shows its media information and its files.

    ``Code`` says Success until the job has failed, as at the service.
    """
    operation: dict[str, Value] = {**job.submission.operation()}
    if job.phase is State.SUCCESS:
        operation["MediaInfo"] = _media_info(job.stems)
        operation["MediaResult"] = {"OutputFile": _output_file(job)}
    return {
        "Code": job.failure.code if job.failure else "Success",
        "Message": str(job.failure or ""),
        "JobId": job.id,
        "State": job.state.value,
        "CreationTime": time_text(job.created),
        "StartTime": time_text(job.started),
        "EndTime": time_text(job.ended),
        "QueueId": job.queue.id,
        "QueueType": "Speeching",
        "Tag": TAG,
        "Input": {"BucketId": job.owner, "Object": job.submission.source, "Region": job.region},
        "Operation": operation,
    }


def list_page(jobs: list[CiJob], query: Mapping[str, str]) -> tuple[list[CiJob], str]:
    """
    Return one page of jobs, and the token of the next one, empty on the last.

    :param jobs: of the bucket, oldest first.
    :param query: without signature and token.
    :raises CiError: a parameter is missing, unknown, or has a value that it may not have.
    """
    unknown = sorted(query.keys() - _LIST_PARAMETERS)
    if unknown:
        raise invalid(f"{unknown[0]} is not a parameter that the emulator knows")
    if query.get("tag") != TAG:
        raise invalid(f"tag must be {TAG}; the emulator has no other jobs")
    order = query.get("orderByTime") or "Desc"
    if order not in ("Desc", "Asc"):
        raise invalid("orderByTime must be Desc or Asc")
    size = _number(query, "size", 10)
    if not 1 <= size <= 100:
        raise invalid("size must be from 1 to 100")
    after, is_wanted = _number(query, "nextToken", 0), _filter(query)
    wanted = [job for job in (jobs if order == "Asc" else reversed(jobs)) if is_wanted(job)]
    if after:
        wanted = [job for job in wanted if (job.number > after if order == "Asc" else job.number < after)]
    page = wanted[:size]
    return page, str(page[-1].number) if len(wanted) > size else ""


def _filter(query: Mapping[str, str]) -> Callable[[CiJob], bool]:
    """Check the parameters that choose jobs, whether or not there are any, and return the choice."""
    states = (query.get("states") or "All").split(",")
    if not {*KNOWN_STATES, "All"}.issuperset(states):
        raise invalid(f"states must be All or of {', '.join(KNOWN_STATES)}")
    first, last = query.get("startCreationTime"), query.get("endCreationTime")
    since = read_time(first, "startCreationTime") if first else -math.inf
    until = read_time(last, "endCreationTime") if last else math.inf

    def is_wanted(job: CiJob) -> bool:
        return (
            ("All" in states or job.state in states)
            and query.get("inputObject", job.submission.source) == job.submission.source
            and since <= int(job.created) <= until
        )

    return is_wanted


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name) or str(default)
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise CiError("InvalidArgument", f"{name} must be a number")
    return int(text)


def _output_file(job: CiJob) -> Tree:
    return {
        "Bucket": job.submission.output["Bucket"],
        "Md5Info": [{"Md5": file.md5, "ObjectName": file.key} for file in job.stems],
        "ObjectName": [file.key for file in job.stems],
        "ObjectPrefix": "",
        "Region": job.submission.output["Region"],
    }


def _media_info(files: list[StemFile]) -> Tree:
    first = files[0]
    return {
        "Format": {
            "Bitrate": _kilobits(first),
            "Duration": f"{first.facts.duration:.6f}",
            "FormatName": first.facts.form,
            "NumProgram": "0",
            "NumStream": "1",
            "Size": str(first.size),
            "StartTime": "0.000000",
        },
        "Stream": {"Audio": [_audio(file) for file in files], "Subtitle": "", "Video": ""},
    }


def _audio(file: StemFile) -> Tree:
    return {
        "Bitrate": _kilobits(file),
        "Channel": str(file.facts.channels),
        "CodecName": file.facts.form,
        "Duration": f"{file.facts.duration:.6f}",
        "Index": "0",
        "SampleRate": str(file.facts.rate),
        "StartTime": "0.000000",
    }


def _kilobits(file: StemFile) -> str:
    return f"{file.size * 8 / 1000 / file.facts.duration:.6f}"
