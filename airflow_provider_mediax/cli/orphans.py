"""The command ``orphans``: jobs that no task owns any more, with what can be done about each."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from airflow_provider_mediax.cli import database
from airflow_provider_mediax.cli.command import Exit, command, say
from airflow_provider_mediax.cli.moments import moment
from airflow_provider_mediax.cli.owners import Listed, Orphan, Trace, in_span, orphans
from airflow_provider_mediax.cli.printing import named_task, print_orphans
from airflow_provider_mediax.cli.services import Services, listed, open_services
from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.jobs.cancellation import cancel_flow, describe_outcome
from airflow_provider_mediax.jobs.ownership import CLOCK_DOUBT


@command
def run(args: Namespace) -> Exit:
    """Find the orphans, cancel what is to be canceled, and print them."""
    since, until = moment("since", args.since), moment("until", args.until)
    scope = _scope(args, since)
    with open_services(args.conn_id, args.bucket, args.region, args.service) as services:
        for sentence in services.unused:
            say(sentence)
        traces = database.read(scope)
        if scope.dag_id is not None and not traces and not database.has_tasks(scope):
            rule = "Airflow knows no such run or task; look for jobs of deleted runs with --since."
            raise BadRequest.field("dag-id", args.dag_id, rule)
        found, doubts = _found(services, traces, since, until, strangers=scope.dag_id is None)
        if args.cancel or args.cancel_unknown:
            found = _canceled(services, found, args)
    print_orphans(found, args.output)
    for doubt in doubts:
        say(doubt)
    if doubts:
        return Exit.UNSURE
    return Exit.FOUND if found else Exit.FINE


def _scope(args: Namespace, since: datetime | None) -> database.Scope:
    if args.dag_id is None and since is None:
        raise BadRequest.field("dag-id", None, "give --dag-id, --since or both, or everything would be read.")
    for name in ("run_id", "task_id"):
        if args.dag_id is None and getattr(args, name) is not None:
            raise BadRequest.field(name.replace("_", "-"), getattr(args, name), "give --dag-id as well.")
    return database.Scope(dag_id=args.dag_id, run_id=args.run_id, task_id=args.task_id, since=since)


def _found(
    services: Services, traces: list[Trace], since: datetime | None, until: datetime | None, *, strangers: bool
) -> tuple[list[Orphan], list[str]]:
    """
    Return the orphans, and why there may be more.

    A job without an owner is looked up in the database once more: jobs that share an ``idempotency_key`` may be
    owned by tasks of other runs, and tasks go on while the services are asked.
    """
    begun = [trace.run_after for trace in traces if trace.run_after is not None]
    if not (strangers or traces):
        return [], []
    first = since or (min(begun) - timedelta(seconds=CLOCK_DOUBT) if begun else None)
    listing = services.look({marker for trace in traces for marker in trace.markers}, first, until)
    jobs = [one for one in listing.jobs if in_span(one.job, since, until)]
    seeming = [orphan.listed.job for orphan in orphans(jobs, traces, strangers=strangers)]
    names = {name for job in seeming for name in (job.id, job.marker) if name}
    known = {(trace.owner, trace.region): trace for trace in (*database.read_naming(names), *traces)}
    return orphans(jobs, known.values(), strangers=strangers), listing.doubts


def _canceled(services: Services, found: list[Orphan], args: Namespace) -> list[Orphan]:
    """Cancel what can be canceled, if the user agrees, and return the orphans as they are then."""
    chosen = [orphan for orphan in found if orphan.listed.can_cancel and (orphan.owner or args.cancel_unknown)]
    if not chosen or not (args.yes or _agreed(chosen)):
        return found
    after: dict[tuple[str, str], Listed] = {}
    for hook in services.hooks:
        name = hook.service.name
        ids = [orphan.listed.job.id for orphan in chosen if orphan.listed.service == name]
        for job in hook.run(cancel_flow(hook.service, ids, lambda error: say(error.sentences))) if ids else ():
            say(f"{describe_outcome(job)}.")
            after[name, job.id] = listed(hook, job)
    return [
        replace(orphan, listed=after.get((orphan.listed.service, orphan.listed.job.id), orphan.listed))
        for orphan in found
    ]


def _agreed(chosen: Sequence[Orphan]) -> bool:
    for orphan in chosen:
        say(f"{orphan.listed.job.id}, {orphan.listed.job.state_name}, of {named_task(orphan.owner)}: {orphan.reason}")
    say(f"Cancel {'this job' if len(chosen) == 1 else f'these {len(chosen)} jobs'}? [y/N]")
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    say("Nothing is canceled.")
    return False
