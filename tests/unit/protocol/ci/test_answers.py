"""What Cloud Infinite answers, with each contradiction of its reference under a test of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import ProtocolError
from airflow_provider_mediax.protocol.callbacks import read_ci_callback
from airflow_provider_mediax.protocol.ci.answers import (
    expected_stems,
    read_job,
    read_jobs,
    read_queues,
    read_separation,
    read_template,
    read_time,
    texts,
)
from airflow_provider_mediax.protocol.ci.requests import AudioConfig
from airflow_provider_mediax.protocol.ci.xml import read_posted
from airflow_provider_mediax.protocol.job import Job, JobState
from tests.unit.protocol.helpers import published

BUCKET = "music-1250000000"
REGION = "ap-guangzhou"


def jobs_of(name: str) -> list[Job]:
    return read_jobs(read_posted(published(name), name), name)[0]


def job_of(name: str) -> Job:
    (job,) = jobs_of(name)
    return job


def finished(written: list[str], asked: dict[str, str], prefix: str = "") -> Job:
    file = {"Bucket": BUCKET, "ObjectPrefix": prefix, "ObjectName": written}
    raw = {"JobId": "j1", "State": "Success", "Operation": {"Output": asked, "MediaResult": {"OutputFile": file}}}
    return read_job(raw, "x")


def stems(job: Job) -> dict[str, str]:
    found: dict[str, str] = read_separation(job, BUCKET, REGION).result["stems"]
    return found


class TestState:
    @pytest.mark.parametrize(
        ("name", "state"),
        [
            ("Submitted", JobState.OPEN),
            ("Running", JobState.OPEN),
            ("Pause", JobState.OPEN),
            ("Success", JobState.SUCCEEDED),
            ("Failed", JobState.FAILED),
            ("Cancel", JobState.CANCELED),
            ("Frozen", JobState.UNKNOWN),
            ("", JobState.UNKNOWN),
            (None, JobState.UNKNOWN),
        ],
    )
    def test_only_the_three_last_states_are_final(self, name: str | None, state: JobState) -> None:
        job = read_job({"JobId": "j1", "State": name, "Code": "Success"}, "x")
        assert job.state is state
        assert job.state.final is (name in ("Success", "Failed", "Cancel"))

    def test_the_state_decides_although_the_code_says_success(self) -> None:
        running, done = jobs_of("list_response.xml")
        assert running.raw["Code"] == done.raw["Code"] == "Success"
        assert (running.state, done.state) == (JobState.OPEN, JobState.SUCCEEDED)

    def test_a_message_is_believed_on_failed_jobs_only(self) -> None:
        assert job_of("submit_old_params_response.xml").message is None
        failed = {"JobId": "j1", "State": "Failed", "Code": "BadMedia", "Message": "see https://h/p?q-signature=x"}
        assert read_job(failed, "x").message == "BadMedia: see https://h/p"

    def test_a_job_without_an_end_has_none_although_a_sample_prints_one(self) -> None:
        assert job_of("describe_submitted_response.xml").completed_at is None


class TestTimes:
    @pytest.mark.parametrize(
        "value", ["-", "", None, "soon", "2022-13-27T15:23:10+0800", "0001-01-01T00:00:00Z", [], {}]
    )
    def test_no_time_yet_has_many_spellings(self, value: dict[str, Any] | list[Any] | str | None) -> None:
        assert read_time(value) is None

    def test_a_time_is_read_with_its_offset(self) -> None:
        assert read_time("2022-06-27T15:23:10+0800") == datetime(2022, 6, 27, 7, 23, 10, tzinfo=UTC)
        assert read_time("2022-06-27T15:23:10") == datetime(2022, 6, 27, 7, 23, 10, tzinfo=UTC)

    @pytest.mark.parametrize("name", ["submit_params_response.xml", "submit_old_params_response.xml"])
    def test_a_hyphen_on_the_new_page_is_an_empty_text_on_the_old_one(self, name: str) -> None:
        job = job_of(name)
        assert job.created_at is not None
        assert (job.started_at, job.completed_at) == (None, None)


class TestShape:
    @pytest.mark.parametrize(
        "name",
        [
            "submit_template_response.xml",
            "submit_params_response.xml",
            "submit_old_template_response.xml",
            "submit_old_params_response.xml",
            "describe_submitted_response.xml",
        ],
    )
    def test_both_pages_answers_are_read(self, name: str) -> None:
        job = job_of(name)
        assert job.id.startswith("j")
        assert job.state is JobState.OPEN

    def test_the_input_may_be_an_object_alone(self) -> None:
        assert (
            read_separation(job_of("submit_old_params_response.xml"), BUCKET, REGION).input
            == f"cos://{BUCKET}/test.mp4"
        )
        assert read_separation(job_of("submit_params_response.xml"), BUCKET, REGION).input == (
            "cos://test-123456789/input/demo.mp4"
        )

    def test_the_marker_is_the_first_word_of_the_user_data(self) -> None:
        assert job_of("submit_params_response.xml").marker == "This"
        assert job_of("submit_old_params_response.xml").marker is None

    @pytest.mark.parametrize("job_id", ["", None, "../x", "a,b", "j 1", 7.5, {"a": "b"}])
    def test_an_id_that_could_not_go_into_a_path_is_refused(self, job_id: dict[str, str] | float | str | None) -> None:
        with pytest.raises(ProtocolError):
            read_job({"JobId": job_id, "State": "Running"}, "x")

    def test_the_skeletons_hold_no_job(self) -> None:
        assert read_jobs(read_posted(published("submit_old_response_skeleton.xml"), "x"), "x") == ([], False)
        assert read_jobs(read_posted(published("describe_skeleton.xml"), "x"), "x") == ([], True)

    def test_ids_may_repeat_or_have_commas_between(self) -> None:
        assert texts(["a", "b,c", ""]) == texts("a,b, c") == ["a", "b", "c"]
        assert texts(None) == texts({}) == []


class TestResults:
    def test_stems_are_told_by_their_names_and_not_by_their_order(self) -> None:
        view = read_separation(job_of("callback_api_job.xml"), BUCKET, REGION)
        assert view.result == {
            "stems": {
                "voice": "cos://test-123456789/output/audio.mp3",
                "background": "cos://test-123456789/output/backgroud.mp3",
            }
        }
        assert view.files == ["cos://test-123456789/output/audio.mp3", "cos://test-123456789/output/backgroud.mp3"]
        assert (view.capability, view.unresolved_files) == ("VoiceSeparate", [])

    def test_four_stems_in_any_order(self) -> None:
        asked = {"Object": "b.mp3", "AuObject": "v.mp3", "BassObject": "s.mp3", "DrumObject": "d.mp3"}
        found = stems(finished(["d.mp3", "v.mp3", "s.mp3", "b.mp3"], asked))
        assert found == {
            "drum": f"cos://{BUCKET}/d.mp3",
            "voice": f"cos://{BUCKET}/v.mp3",
            "bass": f"cos://{BUCKET}/s.mp3",
            "background": f"cos://{BUCKET}/b.mp3",
        }

    def test_a_wildcard_that_the_answer_keeps_still_fits(self) -> None:
        asked = {"Object": "out/backgroud.${ext}", "AuObject": "out/audio.${ext}"}
        found = stems(finished(["out/backgroud.mp3", "out/audio.mp3"], asked))
        assert found == {"background": f"cos://{BUCKET}/out/backgroud.mp3", "voice": f"cos://{BUCKET}/out/audio.mp3"}

    def test_a_file_that_fits_two_stems_is_nobodys(self) -> None:
        asked = {"Object": "out/${jobid}.mp3", "AuObject": "out/${jobid}.mp3"}
        assert stems(finished(["out/j1.mp3"], asked)) == {"unknown": f"cos://{BUCKET}/out/j1.mp3"}

    def test_files_that_nobody_asked_for_are_unknown(self) -> None:
        found = stems(finished(["a.mp3", "v.mp3", "b.mp3"], {"AuObject": "v.mp3"}))
        assert found == {
            "voice": f"cos://{BUCKET}/v.mp3",
            "unknown": f"cos://{BUCKET}/a.mp3",
            "unknown_2": f"cos://{BUCKET}/b.mp3",
        }

    def test_a_second_file_of_one_name_does_not_replace_the_first(self) -> None:
        files = [{"Bucket": bucket, "ObjectName": ["v.mp3"]} for bucket in ("a-1", "b-1")]
        operation = {"Output": {"AuObject": "v.mp3"}, "MediaResult": {"OutputFile": files}}
        found = stems(read_job({"JobId": "j1", "State": "Success", "Operation": operation}, "x"))
        assert found == {"voice": "cos://a-1/v.mp3", "unknown": "cos://b-1/v.mp3"}

    def test_a_key_is_prefix_and_name(self) -> None:
        assert stems(finished(["v.mp3"], {"AuObject": "out/v.mp3"}, "out/")) == {"voice": f"cos://{BUCKET}/out/v.mp3"}

    def test_a_finished_job_may_lack_its_results(self) -> None:
        job = job_of("callback_noise_reduction_job.json")
        view = read_separation(job, BUCKET, REGION)
        assert (view.capability, view.result, view.files) == ("NoiseReduction", {"stems": {}}, [])
        assert expected_stems(job, BUCKET) == {"background": "cos://test-123456789/output/nr.wav"}

    def test_what_has_a_wildcard_cannot_be_expected(self) -> None:
        assert expected_stems(job_of("submit_params_response.xml"), BUCKET) == {}

    @pytest.mark.parametrize("state", [JobState.OPEN, JobState.FAILED, JobState.CANCELED, JobState.UNKNOWN])
    def test_a_job_that_did_not_succeed_has_no_result(self, state: JobState) -> None:
        view = read_separation(replace(job_of("callback_api_job.xml"), state=state), BUCKET, REGION)
        assert (view.result, view.files) == ({}, [])


class TestCallbacks:
    @pytest.mark.parametrize(
        "name",
        [
            "callback_api_job.xml",
            "callback_workflow_job.xml",
            "callback_workflow_job.json",
            "callback_noise_reduction_job.json",
        ],
    )
    def test_details_may_be_an_array_or_an_object_in_both_formats(self, name: str) -> None:
        (job,) = read_ci_callback(published(name))
        assert job.state is JobState.SUCCEEDED

    def test_the_name_of_the_event_may_be_missing(self) -> None:
        (job,) = read_ci_callback(b'{"JobsDetail": {"JobId": "j1", "State": "Failed", "Code": "x"}}')
        assert (job.id, job.message) == ("j1", "x")

    @pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"<Response/>", b'{"JobsDetail": []}', b"<html>"])
    def test_what_holds_no_job_is_refused(self, body: bytes) -> None:
        with pytest.raises(ProtocolError):
            read_ci_callback(body)


class TestTemplatesAndQueues:
    def test_the_mode_of_a_template_sits_deeper_in_the_answer_than_in_the_request(self) -> None:
        template = read_template(read_posted(published("template_create_response.xml"), "x")["Template"])
        assert template is not None
        assert (template.id, template.mode) == ("t1460606b9752148c4ab182f55163ba7cd", "IsAudio")
        assert template.is_like("IsAudio", AudioConfig(codec="mp3", sample_rate=44100))
        assert not template.is_like("IsAudio", AudioConfig(codec="aac"))
        assert not template.is_like("MusicMode", AudioConfig(codec="mp3"))

    def test_the_id_of_a_queue_has_two_spellings(self) -> None:
        for name in ("queue_by_ids_old_response.xml", "queue_by_ids_new_response.xml", "asrqueue_list_response.xml"):
            (queue,) = read_queues(read_posted(published(name), name))
            assert queue.state == "Active"

    def test_unknown_queues_have_two_shapes(self) -> None:
        old = read_posted(published("queue_by_ids_old_response.xml"), "x")["NonExistPIDs"]
        new = read_posted(published("queue_by_ids_new_response.xml"), "x")["NonExistPIDs"]
        assert (old, new) == ([{"QueueID": ["B", "C"]}], ["A", "B"])

    def test_a_queue_says_how_much_it_holds(self) -> None:
        (queue,) = read_queues(read_posted(published("asrqueue_list_response.xml"), "x"))
        assert (queue.max_size, queue.max_concurrent) == (10000, 10)
        assert "callback.demo.com" not in repr(queue)
