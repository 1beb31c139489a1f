"""A catalogue at a time: thousands of jobs of one or several capabilities in one task."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from airflow.providers.common.compat.sdk import BaseOperator, conf

try:
    from airflow.sdk.exceptions import TaskDeferralTimeout
except ImportError:  # Airflow 3.1
    from airflow.exceptions import TaskDeferralTimeout  # type: ignore[no-redef]

from airflow_provider_mediax.arguments import (
    as_bool,
    as_choice,
    as_float,
    as_idempotency_key,
    as_int,
    as_object,
    as_optional_float,
    as_optional_int,
    as_seconds,
    as_text,
    as_texts,
    is_absent,
    parsed_literal,
)
from airflow_provider_mediax.exceptions import JobFailed
from airflow_provider_mediax.operators.failures import explained
from airflow_provider_mediax.protocol.names import refused

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_mediax.client.stop import StopSignal
    from airflow_provider_mediax.jobs.attempt import TaskInstance
    from airflow_provider_mediax.jobs.batch.engine import Deferred, Terms
    from airflow_provider_mediax.jobs.batch.plan import Counts
    from airflow_provider_mediax.operators.batch_requests import TypedRequests
    from airflow_provider_mediax.operators.batch_run import BatchRun, Identity, Order
    from airflow_provider_mediax.protocol.exchange import JsonObject

MOST_IN_PLACE = 1000
"""Items that may be given as a list; more of them belong into a file."""

MOST_SHARDS = 1024
"""Tasks that Airflow maps by default."""

COLLECT = (
    "Done items are kept. To do the others anew, clear the task; to collect what is still running, run "
    "`airflow-mediax batch settle` with the folder."
)


def shards(n: int) -> list[str]:
    """
    Return the shards of a catalogue: ``MusicBatchOperator.partial(...).expand(shard=shards(4))``.

    :param n: 1 to 1024, which is how many tasks Airflow maps by default.
    :raises BadRequest: another number.
    """
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= MOST_SHARDS:
        raise refused("n", n, f"it must be a whole number from 1 to {MOST_SHARDS}.")
    return [f"{index}/{n}" for index in range(n)]


class MusicBatchOperator(BaseOperator):
    """
    Buys a job for each item of a catalogue, and lands the findings as files of rows.

    Whatever ends a try, the next one goes on where it was: every item is bought once. The folder
    ``<output>/<batch>/`` holds plan, ledger, results and ``outcome.json``.

    :param capability: name on the wire, such as ``musicTagV2`` or ``VoiceSeparate``; of several, each item gets a job
        of each.
    :param items: at most 1,000 items in place; or the address of a ``.jsonl``, ``.csv`` or ``.parquet`` file in any
        store; or a pattern of objects, ``cos://bucket/in/*.mp3``. Text is a url if it has a scheme, else a path; an
        object has ``id``, one of ``url``, ``path``, ``source`` and ``source_data``, ``parameters``, ``destination``
        and ``metadata``.
    :param output: address of the folder below which each batch gets its own.
    :param parameters: arguments of the capability's operator, by name, for all items.
    :param mediax_conn_id: connection of type ``mediax``.
    :param items_conn_id: connection of the file of items; default: as its address says.
    :param output_conn_id: connection of the output; default: as its address says.
    :param output_format: ``jsonl``, or ``parquet`` with the extra of that name.
    :param max_in_flight: jobs that are submitted and have not ended.
    :param submit_concurrency: submits under way at once, 1 to 64.
    :param max_new_jobs: jobs that this batch may buy over all its tries; the rest ends as ``not_submitted``.
    :param dry_run: plan only: log what would be bought, and send nothing.
    :param price_per_job: for the estimate of a dry run, in any currency.
    :param skip_known_in: folder of earlier batches, usually ``output``: what they have done is left out.
    :param only_failed_of: folder or outcome of a batch: do only its items that failed, were canceled or not submitted,
        or took too long.
    :param retry_unknown: also do anew what may have been bought: items of which the service could not say it.
    :param on_clear: ``reuse`` keeps what is done and does the rest anew, ``rerun`` buys everything again.
    :param retry_failed_jobs: a retry does failed items anew, with new purchases. Not templated.
    :param collect_interval: seconds between two resumes at least.
    :param poll_interval: seconds; the shortest time between two questions about a job.
    :param wait_timeout: seconds for each job, from its own submit.
    :param shard: ``i/n``: only the items whose id's digest falls into this residue; see :func:`shards`.
    :param requests_per_second: of this task; default: the connection's.
    :param on_item_error: ``fail`` fails the task if an item is not done, after all others are; ``skip`` never; a
        number from 0 to 1 is the share of items that may fail.
    :param allow_local_output: ``file://`` is refused otherwise, since other workers do not see it.
    :param deferrable: wait in the triggerer, without a worker slot. Not templated.
    :param wait_for_completion: only True; a batch that nobody waits for cannot end. Not templated.
    :param cancel_on_kill: cancel what has not started when the task is killed, where the service can. Not templated.
    :param idempotency_key: replaces DAG, run, task and map index as the batch's identity.
    :param kwargs: arguments of Airflow's ``BaseOperator``.
    """

    template_fields: Sequence[str] = (
        *("capability", "items", "output_folder", "parameters", "mediax_conn_id", "items_conn_id", "output_conn_id"),
        *("output_format", "max_in_flight", "submit_concurrency", "max_new_jobs", "plan_only", "price_per_job"),
        *("skip_known_in", "only_failed_of", "retry_unknown", "on_clear", "collect_interval", "poll_interval"),
        *("wait_timeout", "shard", "requests_per_second", "on_item_error", "allow_local_output", "idempotency_key"),
    )
    ui_color = "#d6ecf3"

    def __init__(
        self,
        *,
        capability: str | Sequence[str],
        items: Sequence[dict[str, Any] | str] | str,
        output: str,
        parameters: dict[str, Any] | None = None,
        mediax_conn_id: str = "mediax_default",
        items_conn_id: str | None = None,
        output_conn_id: str | None = None,
        output_format: Literal["jsonl", "parquet"] = "jsonl",
        max_in_flight: int = 1000,
        submit_concurrency: int = 8,
        max_new_jobs: int | None = None,
        dry_run: bool = False,
        price_per_job: float | None = None,
        skip_known_in: str | None = None,
        only_failed_of: str | None = None,
        retry_unknown: bool = False,
        on_clear: Literal["rerun", "reuse"] = "reuse",
        retry_failed_jobs: bool = False,
        collect_interval: float = 60.0,
        poll_interval: float = 5.0,
        wait_timeout: float = 86400.0,
        shard: str | None = None,
        requests_per_second: float | None = None,
        on_item_error: Literal["fail", "skip"] | float = "fail",
        allow_local_output: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        wait_for_completion: bool = True,
        cancel_on_kill: bool = True,
        idempotency_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("retry_policy") is None:
            kwargs.pop("retry_policy", None)  # Airflow 3.1 knows no such argument
        super().__init__(**kwargs)
        self.capability = capability
        self.items = items
        self.output_folder = output  # an operator's output is what it returns
        self.parameters = parameters
        self.mediax_conn_id = mediax_conn_id
        self.items_conn_id = items_conn_id
        self.output_conn_id = output_conn_id
        self.output_format = output_format
        self.max_in_flight = max_in_flight
        self.submit_concurrency = submit_concurrency
        self.max_new_jobs = max_new_jobs
        self.plan_only = dry_run  # the name is a method of Airflow's
        self.price_per_job = price_per_job
        self.skip_known_in = skip_known_in
        self.only_failed_of = only_failed_of
        self.retry_unknown = retry_unknown
        self.on_clear = on_clear
        self.retry_failed_jobs = retry_failed_jobs
        self.collect_interval = collect_interval
        self.poll_interval = poll_interval
        self.wait_timeout = wait_timeout
        self.shard = shard
        self.requests_per_second = requests_per_second
        self.on_item_error = on_item_error
        self.allow_local_output = allow_local_output
        self.deferrable = deferrable
        self.wait_for_completion = wait_for_completion
        self.cancel_on_kill = cancel_on_kill
        self.idempotency_key = idempotency_key
        self._in_place: Sequence[Any] | None = None
        self._stop: StopSignal | None = None
        self._run: BatchRun | None = None

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """Render the fields, but no list of items: Airflow would take seconds for it, and keep a copy to show."""
        self._put_aside()
        super().render_template_fields(context, jinja_env)
        self._put_aside()

    def _put_aside(self) -> None:
        if isinstance(self.items, (list, tuple)) or type(self.items).__name__ == "LazyXComSequence":
            self._in_place = list(self.items)
            self.items = f"({len(self._in_place)} items)"

    def execute(self, context: Context) -> JsonObject | None:
        """
        Buy what is to be bought, wait for it and write the outcome.

        :return: counts, addresses of the files of rows (``parts``) and of the outcome.
        :raises BadRequest: an argument or an item breaks a rule; nothing is bought.
        :raises JobFailed: items have failed, more than ``on_item_error`` allows; all others are done.
        """
        with explained(self.log, retry_failed=bool(self.retry_failed_jobs), collect=COLLECT):
            return self._carried_out(context)

    def resume(self, context: Context, event: Mapping[str, Any] | None = None) -> JsonObject | None:
        """Go on after the trigger's event, which says no more than that there may be something to do."""
        return self._carried_out(context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Treat Airflow's own timeout of the deferral as ours: the ledger knows everything."""
        with explained(self.log, retry_failed=bool(self.retry_failed_jobs), collect=COLLECT):
            try:
                return super().resume_execution(next_method, next_kwargs, context)
            except TaskDeferralTimeout:
                return self.resume(context)

    def on_kill(self) -> None:
        """Send nothing more, and cancel what has not started, where the service can."""
        if self._stop is not None:
            self._stop.set()
        if self._run is not None:
            self._run.kill(self.log, may_cancel=bool(self.cancel_on_kill) and self.idempotency_key is None)

    def _carried_out(self, context: Context) -> JsonObject | None:
        from airflow_provider_mediax.client.stop import StopSignal
        from airflow_provider_mediax.hooks.batch_folder import StorageFolder
        from airflow_provider_mediax.jobs.batch.engine import Deferred
        from airflow_provider_mediax.jobs.batch.plan import Counts
        from airflow_provider_mediax.jobs.batch.thread import run_in_thread
        from airflow_provider_mediax.operators.base import task_instance
        from airflow_provider_mediax.operators.batch_run import BatchRun, Identity

        order = self._order()
        task = task_instance(context, self.execution_timeout)
        terms = self._terms(task)
        allowed = self._share_allowed()
        requests = self._requests(order)
        self._stop = StopSignal()
        try:
            namespace = next(iter(requests.hooks.values())).connection.namespace
            identity = Identity(namespace=namespace, owner=task.owner, generation=task.generation, order=order)
            folder = StorageFolder(order.output, order.output_conn_id).below(identity.name)
            self.log.info("The folder of this batch is %s", folder.address)
            run = self._run = BatchRun(order, identity, requests, folder, terms)
            result = run_in_thread(run.work, self._stop, self.log)
        finally:
            if self._run is not None:
                self._count(self._run.counts, requests)
            stop, self._stop, self._run = self._stop, None, None
            stop.close()
            requests.close()
        if isinstance(result, Counts):
            self._log_estimate(result, order, requests)
            return None
        if isinstance(result, Deferred):
            self._defer(result, requests)
        summary = summary_of(result, identity, requests, folder.address)
        self._log_summary(result, summary)
        self._judge(result, summary, allowed, context)
        return summary

    def _count(self, counts: Mapping[tuple[str, str], int], requests: TypedRequests) -> None:
        from airflow_provider_mediax.metrics import JobMeter

        for (what, capability), number in counts.items():
            JobMeter(requests.hooks[capability].service_type).count(what, capability, number)

    def _order(self) -> Order:
        from airflow_provider_mediax.hooks.batch_folder import check_output
        from airflow_provider_mediax.jobs.batch.items import Shard
        from airflow_provider_mediax.operators.batch_run import Order

        if not as_bool("wait_for_completion", self.wait_for_completion, True):
            raise refused("wait_for_completion", False, "a batch has to wait, or nobody would write its outcome.")
        capabilities = as_texts("capability", self.capability)
        output = as_text("output", self.output_folder)
        allow_local = as_bool("allow_local_output", self.allow_local_output, False)
        if output is None:
            raise refused("output", self.output_folder, "it must be the address of a folder.")
        check_output(output, allow_local=allow_local)
        shard = as_text("shard", self.shard)
        Shard.read(shard)
        return Order(
            capabilities=[capabilities] if isinstance(capabilities, str) else capabilities,
            items=self._items(),
            output=output,
            parameters={} if is_absent(self.parameters) else as_object("parameters", self.parameters),
            mediax_conn_id=self.mediax_conn_id,
            items_conn_id=as_text("items_conn_id", self.items_conn_id),
            output_conn_id=as_text("output_conn_id", self.output_conn_id) or self._own(output),
            output_format="parquet" if self._format() == "parquet" else "jsonl",
            dry_run=as_bool("dry_run", self.plan_only, False),
            skip_known_in=as_text("skip_known_in", self.skip_known_in),
            only_failed_of=as_text("only_failed_of", self.only_failed_of),
            retry_unknown=as_bool("retry_unknown", self.retry_unknown, False),
            retry_failed_jobs=as_bool("retry_failed_jobs", self.retry_failed_jobs, False),
            reuse=as_choice("on_clear", self.on_clear, ("rerun", "reuse")) == "reuse",
            shard=shard,
            requests_per_second=_rate(self.requests_per_second),
            idempotency_key=as_idempotency_key(self.idempotency_key),
        )

    def _own(self, address: str) -> str | None:
        """Return this task's connection for an address in COS that names none."""
        in_cos = address.startswith("cos://") and "@" not in address.split("/")[2]
        return self.mediax_conn_id if in_cos else None

    def _format(self) -> str:
        found = as_choice("output_format", self.output_format, ("jsonl", "parquet"))
        if found == "parquet":
            from airflow_provider_mediax.jobs.batch.sources import import_parquet

            import_parquet("output_format", found)
        return found

    def _items(self) -> Sequence[Any] | str:
        given = self._in_place if self._in_place is not None else parsed_literal(self.items)
        if isinstance(given, str):
            if not given.strip():
                raise refused("items", given, "it must be a list of items, or the address of a file of them.")
            return given
        if not isinstance(given, (list, tuple)):
            raise refused("items", given, "it must be a list of items, or the address of a file of them.")
        if len(given) > MOST_IN_PLACE:
            rule = f"in place there can be {MOST_IN_PLACE} items; write them to a file and give its address."
            raise refused("items", f"{len(given)} items", rule)
        return list(given)

    def _terms(self, task: TaskInstance) -> Terms:
        from airflow_provider_mediax.jobs.batch.engine import Terms

        budget = as_optional_int("max_new_jobs", self.max_new_jobs)
        if budget is not None and budget < 0:
            raise refused("max_new_jobs", budget, "it must be 0 or more.")
        default = conf.getboolean("operators", "default_deferrable", fallback=False)
        return Terms(
            folder="",
            marker="",
            owner=task.owner,
            attempt=(task.try_number, int(time.time())),
            poll_interval=as_seconds("poll_interval", self.poll_interval),
            wait_timeout=as_seconds("wait_timeout", self.wait_timeout),
            collect_interval=as_seconds("collect_interval", self.collect_interval),
            max_in_flight=_within("max_in_flight", self.max_in_flight, 1, 100_000),
            submit_concurrency=_within("submit_concurrency", self.submit_concurrency, 1, 64),
            max_new_jobs=budget,
            deferrable=as_bool("deferrable", self.deferrable, default),
            ends_at=None if task.execution_timeout is None else task.started + task.execution_timeout,
        )

    def _share_allowed(self) -> float | None:
        """Return the share of items that may fail; None if all may."""
        said = self.on_item_error
        if said in ("fail", "skip"):
            return 0.0 if said == "fail" else None
        share = as_float("on_item_error", said)
        if not 0 <= share <= 1:
            raise refused("on_item_error", said, "it must be fail, skip, or a number from 0 to 1.")
        return share

    def _requests(self, order: Order) -> TypedRequests:
        from airflow_provider_mediax.operators.batch_requests import TypedRequests

        return TypedRequests(
            order.capabilities,
            order.parameters,
            mediax_conn_id=self.mediax_conn_id,
            wait_timeout=as_seconds("wait_timeout", self.wait_timeout),
        )

    def _defer(self, deferred: Deferred, requests: TypedRequests) -> NoReturn:
        from airflow_provider_mediax.triggers.base import defer_until
        from airflow_provider_mediax.triggers.job import JobTrigger

        capability, hook = next(
            (name, hook) for name, hook in requests.hooks.items() if hook.service.name == deferred.service
        )
        trigger = JobTrigger(
            service=deferred.service,
            conn_id=hook.mediax_conn_id,
            capability=capability,
            job_ids=list(deferred.jobs),
            custom_ids=list(deferred.jobs.values()),
            bucket=hook.bucket,
            region=hook.region,
            deadline=deferred.deadline,
            not_before=deferred.not_before,
            poll_interval=as_seconds("poll_interval", self.poll_interval),
            finish_at=deferred.finish_at,
            cancel_on_kill=as_bool("cancel_on_kill", self.cancel_on_kill, True) and self.idempotency_key is None,
        )
        self.log.info(
            "Nothing to send: waiting for %d jobs, until %d of them have ended", len(deferred.jobs), deferred.finish_at
        )
        defer_until(self, trigger)

    def _log_estimate(self, counts: Counts, order: Order, requests: TypedRequests) -> None:
        rate = order.requests_per_second or next(iter(requests.hooks.values())).connection.requests_per_second
        self.log.info(
            "Dry run, nothing is sent: %d items, %d of them new, %d known, %d duplicates, %d elsewhere, %d changed",
            *(counts.total + counts.known, counts.new, counts.known, counts.duplicates, counts.elsewhere),
            counts.changed,
        )
        price = as_optional_float("price_per_job", self.price_per_job)
        if price is not None:
            self.log.info("Estimated price: %.2f", price * counts.new)
        self.log.info("Estimated time to submit: %.0f min at %g requests per second", counts.new / rate / 60, rate)

    def _log_summary(self, outcome: JsonObject, summary: JsonObject) -> None:
        self.log.info(
            "The batch has ended: %s", ", ".join(f"{count} {name}" for name, count in summary["counts"].items())
        )
        for error in outcome["errors"]:
            job = f", job {error['job_id']}" if error["job_id"] else ""
            self.log.warning("%d x %s (for example item %s%s)", error["count"], error["error"], error["item"], job)
        if elsewhere := outcome["ends"].get("elsewhere"):
            self.log.warning(
                "%d items are submitted in an unfinished batch; collect them with `airflow-mediax batch settle FOLDER`",
                elsewhere,
            )

    def _judge(self, outcome: JsonObject, summary: JsonObject, allowed: float | None, context: Context) -> None:
        """Fail the task if too many items are not done; what is done is handed on before."""
        ends = outcome["ends"]
        failed = sum(ends.get(state, 0) for state in ("failed", "timeout", "canceled", "unknown"))
        if allowed is None or not failed or failed <= allowed * sum(ends.values()):
            return
        context["ti"].xcom_push("return_value", summary)
        example = next(iter(outcome["errors"]), {"error": "no reason is known", "item": "?", "job_id": None})
        raise JobFailed(
            f"{failed} of {sum(ends.values())} items are not done, for example {example['item']}: {example['error']}",
            advice=f"The outcome is in {summary['outcome']}. To do them anew, clear the task.",
            job_id=example["job_id"],
        )


def summary_of(outcome: JsonObject, identity: Identity, requests: TypedRequests, folder: str) -> JsonObject:
    """Return what a batch returns: counts and addresses."""
    ends = outcome["ends"]
    owner = identity.owner
    services = dict.fromkeys(hook.service.name for hook in requests.hooks.values())
    return {
        "schema": 1,
        "service": ",".join(services),
        "capability": ",".join(requests.hooks),
        "marker": outcome["marker"],
        "owner": {
            "dag_id": owner.dag_id,
            "run_id": owner.run_id,
            "task_id": owner.task_id,
            "map_index": owner.map_index,
        },
        "counts": {
            "total": sum(ends.values()) + outcome["known"],
            "done": ends.get("done", 0),
            "failed": ends.get("failed", 0),
            "unknown": ends.get("unknown", 0),
            "skipped": outcome["known"],
            "adopted": outcome["adopted"],
            **{state: ends[state] for state in _OTHER_STATES if ends.get(state)},
            **({"changed": outcome["changed"]} if outcome["changed"] else {}),
        },
        "parts": [f"{folder}/{name}" for names in outcome["files"].values() for name in names],
        "outcome": f"{folder}/{outcome['items']}",
        "started_at": _moment(outcome["started_at"]),
        "completed_at": _moment(outcome["ended_at"]),
    }


_OTHER_STATES = ("timeout", "canceled", "elsewhere", "duplicate", "not_submitted")


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _rate(value: object) -> float | None:
    rate = as_optional_float("requests_per_second", value)
    if rate is not None and not 0 < rate <= 1000:
        raise refused("requests_per_second", value, "it must be above 0 and at most 1000.")
    return rate


def _within(name: str, value: object, least: int, most: int) -> int:
    number = as_int(name, value)
    if not least <= number <= most:
        raise refused(name, value, f"it must be from {least} to {most}.")
    return number
