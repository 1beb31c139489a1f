"""Every capability that makes music or voices."""

# [START make_music]
from airflow.sdk import DAG

from airflow_provider_mediax.operators.music import (
    ImageBgmOperator,
    MusicComposeHummingOperator,
    MusicComposeOperator,
    SingingCloningOperator,
    TextBgmOperator,
    VideoBgmOperator,
    VoiceCloningOperator,
)

with DAG("make_music", schedule=None, default_args={"deferrable": True}) as dag:
    MusicComposeOperator(task_id="songs", song_quantity=3, song_type="MULTITRACK", emotion="WARM")
    MusicComposeHummingOperator(task_id="from_humming", path="in/track.wav", output_prefix="hum-")
    ImageBgmOperator(task_id="for_cover", path="in/cover.png", emotion="ROMANTIC")
    VideoBgmOperator(task_id="for_clip", path="in/clip.mp4", mode="MULTI_TRACK")
    TextBgmOperator(task_id="for_text", source_data="夏天的海边")

    train = SingingCloningOperator(task_id="train", task="train", model_name="singer_1", path="in/track.wav")
    sing = SingingCloningOperator(
        task_id="sing", task="generate", model_name="singer_1", use_separate=True, path="in/other.wav"
    )
    train >> sing
    VoiceCloningOperator(task_id="speak", task="generate", model_name="default", source_data="你好")
# [END make_music]
