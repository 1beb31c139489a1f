"""The commands ``jobs get``, ``jobs list`` and ``jobs wait``: jobs by their id or marker."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from contextlib import closing
from typing import Any

from airflow_provider_mediax.arguments import as_seconds
from airflow_provider_mediax.cli.command import Exit, command, say
from airflow_provider_mediax.cli.moments import moment
from airflow_provider_mediax.cli.printing import print_object, print_rows, utc
from airflow_provider_mediax.client.clock import steady
from airflow_provider_mediax.client.retry import ONE_TRY
from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.hooks.base import JobHook
from airflow_provider_mediax.hooks.registry import SERVICES
from airflow_provider_mediax.jobs.stored import manifest
from airflow_provider_mediax.jobs.waiting import Wait, wait_flow
from airflow_provider_mediax.protocol.job import Job, JobState


@command
def get(args: Namespace) -> Exit:
    """Print one job."""
    with closing(_hook(args)) as hook:
        _print(hook, _described(hook, args.job_id), args.output)
    return Exit.FINE


@command
def list_(args: Namespace) -> Exit:
    """Print the jobs that carry a marker."""
    since = moment("since", args.since)
    with closing(_hook(args)) as hook:
        found = hook.jobs_of(args.marker, since=since.timestamp() if since else None)
        print_rows([_row(job) for job in found.jobs], args.output)
    if not found.complete:
        say("The service listed only a part of the jobs.")
        return Exit.UNSURE
    return Exit.FINE


@command
def wait(args: Namespace) -> Exit:
    """Wait until a job is final, and print it."""
    started, timeout = steady(), as_seconds("timeout", args.timeout)
    poll_interval = as_seconds("poll-interval", args.poll_interval)
    with closing(_hook(args)) as hook:
        job = _described(hook, args.job_id)  # so that an id that is not known ends the command at once
        say(job.summary)
        if not job.state.final:
            flow = wait_flow(
                hook.service,
                Wait(
                    job_ids=[job.id],
                    known=job,
                    deadline=started + timeout,
                    poll_interval=poll_interval,
                    started=steady(),
                ),
                on_change=lambda seen: say(seen.summary),
                on_trouble=lambda error: say(f"Asking failed, trying again: {error.what}"),
            )
            outcome = hook.run(flow, ONE_TRY)
            if outcome.error is not None:
                say(outcome.error.sentences)
                return Exit.UNSURE
            job = outcome.jobs.get(job.id, job)
        _print(hook, job, args.output)
    if not job.state.final:
        say(f"The job is still {job.state_name} after {args.timeout} s; it goes on.")
        return Exit.UNSURE
    return Exit.FINE if job.state is JobState.SUCCEEDED else Exit.FOUND


def _hook(args: Namespace) -> JobHook[Any]:
    return SERVICES[args.service].at(args.conn_id, args.bucket, args.region)


def _described(hook: JobHook[Any], job_id: str) -> Job:
    job: Job | None = hook.describe([job_id]).get(job_id)
    if job is None:
        raise BadRequest.field("job-id", job_id, "the service does not know it; check --service and --bucket.")
    return job


def _print(hook: JobHook[Any], job: Job, output: str) -> None:
    if output in ("json", "yaml"):
        print_object(manifest(hook.service, job, None, reattached=True), output)
    else:
        print_rows([_row(job)], output)


def _row(job: Job) -> dict[str, Any]:
    moments: Iterable[str] = ("created_at", "started_at", "completed_at")
    facts = {"job_id": job.id, "state": job.state_name, "marker": job.marker}
    return {**facts, **{name: utc(getattr(job, name)) for name in moments}, "message": job.message}
