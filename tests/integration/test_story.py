"""What a person reads of a job: at most eight lines at INFO, and the input's name in the list of mapped tasks."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import structlog
from airflow.sdk import DAG, BaseOperator
from airflow.utils.session import create_session
from structlog.typing import EventDict, WrappedLogger

from airflow_provider_mediax import metrics
from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.operators.music import MusicBeatOperator, MusicTagOperator
from airflow_provider_mediax.operators.report import MusicReportOperator
from airflow_provider_mediax.operators.voice_separation import VoiceSeparationOperator
from airflow_provider_mediax.sensors.job import MediaxJobSensor
from airflow_provider_mediax.triggers.job import JobTrigger
from tests.audio import click_track
from tests.integration.conftest import Run, RunDag

Make = Callable[[bool], BaseOperator]

TRACK = "in/click.wav"
MOST_LINES = 8
SIGNED = "https://user:pass-word@example.com/{{ params.track }}.wav?token=s3cret-token"


@pytest.fixture
def emulator(mediax_emulator: MediaxEmulator) -> MediaxEmulator:
    mediax_emulator.put_object(TRACK, click_track(seconds=3))
    mediax_emulator.durations("*", 5.0, waiting=3.6)  # the trigger begins to ask after three seconds
    return mediax_emulator


def is_ours() -> bool:
    """Tell whether code of the package logs at this moment: the first caller that is no part of a logging library."""
    frame = sys._getframe(1)
    while frame.f_back is not None and re.search("structlog|logging|test_story", frame.f_globals["__name__"]):
        frame = frame.f_back
    return str(frame.f_globals["__name__"]).startswith("airflow_provider_mediax.")


@contextmanager
def ours() -> Iterator[list[tuple[str, str]]]:
    """Collect level and text of all that code of the package logs at INFO and above, through either library."""
    lines: list[tuple[str, str]] = []

    def keep(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        if method != "debug" and is_ours():
            lines.append((method, str(event["event"])))
        raise structlog.DropEvent

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name.startswith("airflow_provider_mediax") and record.levelno >= logging.INFO:
                lines.append((record.levelname.lower(), record.getMessage()))

    handler, root = Handler(), logging.getLogger()
    kept = structlog.get_config()["processors"]
    before = list(kept)
    kept[:] = [structlog.stdlib.PositionalArgumentsFormatter(), keep]
    root.addHandler(handler)
    try:
        yield lines
    finally:
        kept[:] = before
        root.removeHandler(handler)


JOBS: dict[str, Make] = {
    "tags": lambda deferrable: MusicTagOperator(task_id="job", path=TRACK, deferrable=deferrable, poll_interval=0.3),
    "beats": lambda deferrable: MusicBeatOperator(task_id="job", path=TRACK, deferrable=deferrable, poll_interval=0.3),
    "stems": lambda deferrable: VoiceSeparationOperator(
        task_id="job",
        source=TRACK,
        mode="AudioAndBackground",
        codec="wav",
        destination="stems",
        deferrable=deferrable,
        poll_interval=0.3,
    ),
}


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize("kind", JOBS)
def test_a_job_is_a_story_of_at_most_eight_lines(
    run_dag: RunDag, emulator: MediaxEmulator, kind: str, deferrable: bool
) -> None:
    with DAG(dag_id=f"story_{kind}_{deferrable}") as dag:
        JOBS[kind](deferrable)
    with ours() as lines:
        run = run_dag(dag, connection=emulator.connection_json())
    manifest = run.values["job"]
    assert {level for level, _ in lines} == {"info"}
    story = [line for _, line in lines]
    assert len(story) <= MOST_LINES, story
    assert len(set(story)) == len(story)
    asked, new, waiting, *states_and_files = story
    assert manifest["capability"] in asked
    assert TRACK in asked
    assert re.search(rf"{manifest['job_id']} .*; new, marker {manifest['marker']}$", new)
    assert re.search(r"until \d{4}-.* UTC; the first question comes at \d{4}-.* UTC$", waiting)
    states = [line for line in states_and_files if re.match(r"Job \S+ is ", line)]
    assert re.search(rf"is {manifest['state']}, \d+\.\d s after it was created \(\d\.\d s in the queue\)$", states[-1])
    found = story[-1].partition("has found: ")[2]
    assert (
        found
        == {
            "tags": "Exciting, Zhuang; 5 dimensions",
            "beats": f"2 files, the first in cos://music-1250000000/mediax/{manifest['marker']}/",
            "stems": "voice, background; 2 files, the first in cos://music-1250000000/stems/in/click/",
        }[kind]
    )


def test_a_retry_says_that_its_job_was_there_before(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    with DAG(dag_id="story_of_a_retry") as dag:
        MusicTagOperator(task_id="job", path=TRACK, wait_timeout=0.5, retries=1, deferrable=False, poll_interval=0.3)
    run = run_dag(dag, connection=emulator.connection_json())
    assert run.states == {"job": "up_for_retry"}
    emulator.finish_jobs()
    with ours() as lines:
        run.retry()
    assert run.states == {"job": "success"}
    assert any("was there before this attempt, marker" in line for _, line in lines)


def test_the_log_names_an_address_without_its_secrets(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    with DAG(dag_id="story_of_an_address", params={"track": "song"}) as dag:
        MusicTagOperator(task_id="job", url=SIGNED, wait_for_completion=False)
    with ours() as lines:
        run_dag(dag, connection=emulator.connection_json())
    assert lines[0][1] == "MediaX is asked for musicTagV2 of https://example.com/song.wav"
    assert "s3cret-token" not in str(lines)
    assert "pass-word" not in str(lines)


def test_a_sensor_says_what_its_job_has_found(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    emulator.durations("*", 0.1)
    with DAG(dag_id="story_of_a_sensor") as dag:
        tags = MusicTagOperator(task_id="tags", path=TRACK, wait_for_completion=False)
        MediaxJobSensor(task_id="wait", job_id=cast("str", tags.output), deferrable=True, poke_interval=1)
    with ours() as lines:
        run_dag(dag, connection=emulator.connection_json())
    assert lines[-1][1].endswith("has found: Exciting, Zhuang; 5 dimensions")


def index_names(run: Run) -> list[str | None]:
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    query = select(TaskInstance).filter_by(dag_id=run.dag.dag_id, run_id=run.run_id, task_id="job")
    with create_session() as session:
        return [ti.rendered_map_index for ti in session.scalars(query.order_by(TaskInstance.map_index))]


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_mapped_task_is_shown_by_its_input(run_dag: RunDag, emulator: MediaxEmulator, deferrable: bool) -> None:
    emulator.durations("*", 0.1)
    names = [TRACK, "in/{{ not }} a {% template %}.wav", "in/" + "long" * 60 + ".wav"]
    for name in names[1:]:
        emulator.put_object(name, click_track(seconds=3))
    with DAG(dag_id=f"mapped_{deferrable}") as dag:
        common = {"task_id": "job", "deferrable": deferrable, "poll_interval": 0.3}
        MusicTagOperator.partial(**common).expand(path=[names[0], "{% raw %}" + names[1] + "{% endraw %}", names[2]])
    run = run_dag(dag, connection=emulator.connection_json())
    assert set(run.states.values()) == {"success"}
    assert index_names(run) == [*names[:2], f"...{names[2][-117:]}"]


def test_a_failed_index_is_shown_by_its_input(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    with DAG(dag_id="mapped_failed") as dag:
        MusicTagOperator.partial(task_id="job").expand(url=["https://u:pw@example.com/in/../a\n.wav?sig=1"])
    run = run_dag(dag, connection=emulator.connection_json())
    assert run.states == {"job[0]": "failed"}
    assert index_names(run) == ["https://example.com/in/../a.wav"]


def test_the_users_own_name_of_an_index_stays(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    emulator.durations("*", 0.1)
    with DAG(dag_id="mapped_own") as dag:
        VoiceSeparationOperator.partial(
            task_id="job",
            map_index_template="{{ task.input_name.rpartition('/')[2] }}",
            mode="IsAudio",
            destination="stems",
            deferrable=True,
            poll_interval=0.3,
        ).expand(source=[TRACK])
    run = run_dag(dag, connection=emulator.connection_json())
    assert index_names(run) == ["click.wav"]


def links_of(dag_id: str) -> list[str]:
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    query = select(XComModel).filter_by(dag_id=dag_id, key="_link_InputLink")
    with create_session() as session:
        return [str(XComModel.deserialize_value(row)) for row in session.scalars(query)]


@pytest.mark.parametrize("mapped", [False, True])
def test_a_deferred_task_links_to_its_input_and_a_finished_one_to_its_files(
    run_dag: RunDag, emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch, mapped: bool
) -> None:
    emulator.durations("*", 3600)  # until the trigger has looked, so that the task does defer
    wait = JobTrigger.wait
    while_deferred: list[str] = []

    async def look_first(trigger: JobTrigger) -> dict[str, Any]:
        while_deferred.extend(await asyncio.to_thread(links_of, dag.dag_id))
        await asyncio.to_thread(emulator.finish_jobs)
        return await wait(trigger)

    monkeypatch.setattr(JobTrigger, "wait", look_first)
    with DAG(dag_id=f"links_{mapped}") as dag:
        common: dict[str, Any] = {"task_id": "job", "deferrable": True, "poll_interval": 0.3}
        if mapped:
            MusicBeatOperator.partial(**common).expand(path=[TRACK])
        else:
            MusicBeatOperator(path=TRACK, **common)
    run = run_dag(dag, connection=emulator.connection_json())
    name = "job[0]" if mapped else "job"
    console = "https://console.cloud.tencent.com/cos/bucket?bucket=music-1250000000&region=ap-guangzhou&path="
    marker = run.values[name]["marker"]
    assert while_deferred == [f"{console}%252Fin%252F"]
    assert run.xcom(name, "_link_InputLink") == f"{console}%252Fin%252F"
    assert run.xcom(name, "_link_ResultsLink") == f"{console}%252Fmediax%252F{marker}%252F"


@pytest.mark.parametrize("deferrable", [True, False])
def test_what_was_bought_and_asked_is_counted_by_workers(
    run_dag: RunDag, emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch, deferrable: bool
) -> None:
    counted: dict[str, int] = {}

    class Stats:
        @staticmethod
        def incr(name: str, count: int, *, tags: dict[str, str]) -> None:
            counted[f"{name} {tags['capability']}"] = counted.get(f"{name} {tags['capability']}", 0) + count

        @staticmethod
        def timing(name: str, seconds: timedelta, *, tags: dict[str, str]) -> None:
            counted[name] = round(seconds.total_seconds())

    monkeypatch.setattr(metrics, "Stats", Stats)
    emulator.durations("*", 4.0)
    emulator.fail_next("CreateJob", "429", retry_after=0.2)
    with DAG(dag_id=f"counted_{deferrable}") as dag:
        MusicTagOperator(task_id="job", path=TRACK, deferrable=deferrable, poll_interval=0.3)
    run = run_dag(dag, connection=emulator.connection_json())
    assert run.states == {"job": "success"}
    assert counted.pop("mediax.polls musicTagV2") >= 2
    assert counted.pop("mediax.waited") >= 3
    assert counted == {
        "mediax.jobs.bought musicTagV2": 1,
        "mediax.jobs.succeeded musicTagV2": 1,
        "mediax.throttled other": 1,
    }


def test_a_report_of_a_track_lies_in_the_bucket(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    emulator.durations("*", 0.1)
    with DAG(dag_id="report_of_a_track") as dag:
        common: dict[str, Any] = {"path": TRACK, "wait_timeout": 60.0, "poll_interval": 0.3}
        jobs = [MusicTagOperator(task_id="tags", **common), MusicBeatOperator(task_id="beats", **common)]
        MusicReportOperator(
            task_id="report",
            manifests=[job.output for job in jobs],
            output="cos://music-1250000000/{{ dag.dag_id }}.html",
        )
    run = run_dag(dag, connection=emulator.connection_json())
    assert run.values["report"] == "cos://music-1250000000/report_of_a_track.html"
    console = "https://console.cloud.tencent.com/cos/bucket?bucket=music-1250000000&region=ap-guangzhou"
    assert run.xcom("report", "_link_ReportLink") == console
    written = emulator.get_object("report_of_a_track.html").decode()
    assert written.count("data:audio/wav") == 2
    assert "beats per minute" in written
    assert '<path class="wave" d="M0' in written


def test_a_report_of_mapped_tasks_is_an_overview(run_dag: RunDag, emulator: MediaxEmulator, tmp_path: Path) -> None:
    emulator.durations("*", 0.1)
    emulator.put_object("in/other.wav", click_track(seconds=3))
    with DAG(dag_id="report_of_many") as dag:
        tags = MusicTagOperator.partial(task_id="job", poll_interval=0.3).expand(path=[TRACK, "in/other.wav"])
        MusicReportOperator(task_id="report", manifests=tags.output, output=f"file://{tmp_path}/page.html")
    run = run_dag(dag, connection=emulator.connection_json())
    assert set(run.states.values()) == {"success"}
    assert "2 tracks" in (tmp_path / "page.html").read_text(encoding="utf-8")
