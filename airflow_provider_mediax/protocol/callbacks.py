"""
What the services post when a job ends.

A callback carries no proof of who sent it, so it is only a hint: take the job's id and ask the service.
"""

from __future__ import annotations

from airflow_provider_mediax.exceptions import ProtocolError
from airflow_provider_mediax.protocol.ci.answers import read_jobs
from airflow_provider_mediax.protocol.ci.xml import read_posted
from airflow_provider_mediax.protocol.job import Job
from airflow_provider_mediax.protocol.json_body import member, parse_json
from airflow_provider_mediax.protocol.mediax.gateway import read_job


def read_mediax_callback(body: bytes) -> Job:
    """
    Read a MediaX callback (API reference section 8.1): a bare Job, or one wrapped as in an answer.

    :param body: the posted bytes.
    :raises ProtocolError: it is not JSON or holds no job.
    """
    posted = parse_json(body, "The callback")
    for candidate in (member(member(posted, "getJobResponse"), "job"), member(posted, "job"), posted):
        if isinstance(candidate, dict) and candidate.get("id"):
            return read_job(candidate, "callback")
    raise ProtocolError("The callback holds no job")


def read_ci_callback(body: bytes) -> list[Job]:
    """
    Read a Cloud Infinite callback (API reference section 9.2): XML or JSON, with ``EventName`` or without.

    ``JobsDetail`` is an array in the sample of one tag and an object in those of others.

    :param body: the posted bytes.
    :raises ProtocolError: it is neither format, or holds no job.
    """
    jobs, _ = read_jobs(read_posted(body, "The callback"), "The callback")
    if not jobs:
        raise ProtocolError("The callback holds no job")
    return jobs
