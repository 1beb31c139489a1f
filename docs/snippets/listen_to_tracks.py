"""Every capability that listens to a track."""

# [START listen_to_tracks]
from airflow.sdk import DAG

from airflow_provider_mediax.operators.music import (
    MusicAsrOperator,
    MusicHighlightOperator,
    MusicRecognitionOperator,
    MusicSeparationOperator,
    MusicStructureOperator,
    SkipMusicIntroOperator,
    VocalMidiOperator,
)

with DAG("listen_to_tracks", schedule=None, params={"path": "in/track.wav"}) as dag:
    track = {"path": "{{ params.path }}", "deferrable": True}
    MusicAsrOperator(task_id="lyrics", confidence=0.5, **track)
    MusicHighlightOperator(task_id="choruses", **track)
    MusicStructureOperator(task_id="sections", **track)
    MusicRecognitionOperator(task_id="which_song", output_num=3, **track)
    SkipMusicIntroOperator(task_id="intro", **track)
    VocalMidiOperator(task_id="notes", mode="CHINESE", **track)
    stems = MusicSeparationOperator(task_id="stems", method="FOUR_STEMS", **track)

    voice = "{{ ti.xcom_pull(task_ids='stems')['result']['stems']['voice'] }}"
    stems >> SkipMusicIntroOperator(task_id="singing_starts", url=voice, deferrable=True)
# [END listen_to_tracks]
