"""DAGs that a test writes while Airflow runs: one task for each service, with the arguments that it wants."""

from __future__ import annotations

from tests.system.stack import Stack

SERVICES = ("music_tag", "voice_separation")
"""The stack's own DAGs of one deferrable task."""

DEADLINE = 9
"""Seconds of a wait that is to pass its deadline. Its job must run on by then, see :func:`jobs_run_on`."""


def jobs_run_on(stack: Stack) -> None:
    """Let jobs start at once, so that no deadline cancels them, and end when the test says so."""
    stack.emulator.durations("*", 3600, waiting=0)


def write_dags(stack: Stack, name: str, tags: str, separation: str, *, prelude: str = "") -> list[str]:
    """
    Write a DAG of one deferrable task for each service, and return their ids.

    :param tags: further arguments of the operator of the music platform, as source.
    :param separation: likewise of the voice separation.
    :param prelude: statements before the DAGs.
    """
    placed = "" if "destination=" in separation else 'destination="stems", '
    operators = {
        "MusicTagOperator": f'path="in/track.wav", {tags}',
        "VoiceSeparationOperator": f'source="in/track.wav", mode="IsAudio", codec="wav", {placed}{separation}',
    }
    source = f"""
{prelude}
from datetime import timedelta
from airflow.sdk import DAG
from airflow_provider_mediax.retries import RETRY_POLICY
from airflow_provider_mediax.operators.music import MusicTagOperator
from airflow_provider_mediax.operators.voice_separation import VoiceSeparationOperator
"""
    for operator, arguments in operators.items():
        source += f"""
with DAG("{name}_{operator}", schedule=None, max_active_runs=64):
    {operator}(task_id="job", poll_interval=0.5, **{{"deferrable": True, **dict({arguments})}})
"""
    dags = stack.write_dag(name, source)
    assert len(dags) == len(operators)
    return dags
