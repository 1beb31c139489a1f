# ruff: noqa: D103 - its name says it
"""A template that every run makes sure of."""

# [START separate_template]
from airflow.sdk import DAG, task

from airflow_provider_mediax.hooks.cloud_infinite import CloudInfiniteHook
from airflow_provider_mediax.operators.voice_separation import VoiceSeparationOperator


@task
def template() -> str:
    hook = CloudInfiniteHook("mediax_default")
    return hook.ensure_template("voice-flac", "IsAudio", codec="flac", sample_rate=44100).id


with DAG("separate_template", schedule=None) as dag:
    VoiceSeparationOperator(
        task_id="separate",
        source="in/track.wav",
        template_id=template(),
        outputs={"voice": "voices/track.flac"},
        deferrable=True,
    )
# [END separate_template]
