"""
One DAG per operator and way of waiting; the run's ``conf`` says the rest.

``music_tag`` and ``voice_separation`` defer, with ``_in_worker`` they wait in their slot, with ``_mapped`` they defer
once for each item of ``conf["sources"]``. The task is always named ``job``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_mediax.operators.music import MusicTagOperator
from airflow_provider_mediax.operators.voice_separation import VoiceSeparationOperator

DAG_OPTIONS: dict[str, Any] = {
    "schedule": None,
    "max_active_runs": 64,
    "max_active_tasks": 256,
    "render_template_as_native_obj": True,  # None stays None
    "default_args": {"retries": 2, "retry_delay": timedelta(seconds=1)},
}


def conf(name: str, default: Any) -> str:
    """Return a template of a value in the run's ``conf``."""
    return f"{{{{ dag_run.conf.get({name!r}, {default!r}) }}}}"


COMMON: dict[str, Any] = {
    "task_id": "job",
    "mediax_conn_id": conf("conn_id", "mediax_default"),
    "poll_interval": conf("poll_interval", 1),
    "wait_timeout": conf("wait_timeout", 600),
    "idempotency_key": conf("idempotency_key", None),
    "on_clear": conf("on_clear", "rerun"),
}
TAG: dict[str, Any] = {**COMMON, "tag_types": conf("tag_types", "all")}
SEPARATE: dict[str, Any] = {
    **COMMON,
    "mode": "IsAudio",
    "codec": "wav",
    "destination": conf("destination", "stems"),
}
SOURCE = conf("source", "in/track.wav")


@task
def sources(dag_run: Any = None) -> list[str]:
    """Return the items of a mapped run."""
    return list(dag_run.conf["sources"])


for suffix, deferrable in (("", True), ("_in_worker", False)):
    with DAG(f"music_tag{suffix}", **DAG_OPTIONS):
        MusicTagOperator(**TAG, path=SOURCE, deferrable=deferrable)
    with DAG(f"voice_separation{suffix}", **DAG_OPTIONS):
        VoiceSeparationOperator(**SEPARATE, source=SOURCE, deferrable=deferrable)

with DAG("music_tag_mapped", **DAG_OPTIONS):
    MusicTagOperator.partial(**TAG, deferrable=True).expand(path=sources())
with DAG("voice_separation_mapped", **DAG_OPTIONS):
    VoiceSeparationOperator.partial(**SEPARATE, deferrable=True).expand(source=sources())
