"""What Cloud Infinite posts when a job ends."""

from __future__ import annotations

import json

from airflow_provider_mediax.emulator.ci.jobs import CiJob
from airflow_provider_mediax.emulator.ci.views import job_tree
from airflow_provider_mediax.emulator.ci.wire import as_json, as_xml
from airflow_provider_mediax.emulator.shared.callbacks import call_back
from airflow_provider_mediax.emulator.shared.ledger import CallbackRecord
from airflow_provider_mediax.emulator.shared.world import World


async def notify(job: CiJob, world: World) -> None:
    """Tell the address of the job, or else of its queue, that the job ended; once, whatever comes of it."""
    own = job.submission.notification
    queue = job.queue.notify if job.queue.notify.get("State") == "On" else {}
    url = own.url or queue.get("Url", "no")
    kind = own.kind or ("Url" if own.url else queue.get("Type", "Url"))
    if kind == "TDMQ":
        world.ledger.callback(CallbackRecord(world.clock.now(), "", job.id, error="TDMQ is not delivered"))
        return
    if url == "no" or (own.url is None and "TaskFinish" not in queue.get("Event", "TaskFinish")):
        return
    body, content_type = _body(job, own.form or queue.get("ResultFormat", "XML"))
    await call_back(url, body, content_type, job.id, world)


def _body(job: CiJob, form: str) -> tuple[bytes, str]:
    tree = job_tree(job)
    if form == "XML":
        return as_xml("Response", {"EventName": "TaskFinish", "JobsDetail": tree}), "application/xml"
    # An array of one, as in the sample of this very kind of job.
    return json.dumps({"EventName": "TaskFinish", "JobsDetail": [as_json(tree)]}).encode(), "application/json"
