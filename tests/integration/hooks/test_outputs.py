"""Looking for the files of finished jobs, with the real SDK against the emulator."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from typing import Any, cast

import pytest

from airflow_provider_mediax.client.stop import StopSignal
from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.exceptions import MediaxError, ResultMissing, Stopped
from airflow_provider_mediax.hooks import outputs
from airflow_provider_mediax.hooks.cloud_infinite import CloudInfiniteHook
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.hooks.mediax import MediaxHook
from airflow_provider_mediax.jobs import outputs as decisions
from airflow_provider_mediax.protocol.ci.answers import read_job
from airflow_provider_mediax.protocol.job import Job, JobState
from airflow_provider_mediax.protocol.service import Promise
from airflow_provider_mediax.protocol.urls import CosAddress
from tests.integration.hooks.conftest import Edited
from tests.unit.client.stub import Answer, StubServer, http

BUCKET, REGION = "music-1250000000", "ap-guangzhou"
CONNECTION = "AIRFLOW_CONN_MEDIAX_DEFAULT"


@pytest.fixture
def edited(mediax_emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch) -> Edited:
    """Return a function that sets the emulator's connection with some fields changed, None taking one out."""

    def edit(**changes: str | None) -> MediaxEmulator:
        connection = json.loads(mediax_emulator.connection_json())
        extra = {**connection["extra"], **changes}
        connection["extra"] = {name: value for name, value in extra.items() if value is not None}
        monkeypatch.setenv(CONNECTION, json.dumps(connection))
        return mediax_emulator

    edit()
    return edit


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="task")
    return caplog


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look three times in short order: the true moments are shown with a clock of its own beside the decisions."""
    monkeypatch.setattr(decisions, "LOOKS", (0.0, 0.1, 0.2))


def said(log: pytest.LogCaptureFixture, level: str) -> list[str]:
    """Return what the check said at a level."""
    return [record.getMessage() for record in log.records if record.levelname == level and record.name == "task"]


def separation(*stems: str, bucket: str = BUCKET, region: str = REGION) -> Job:
    nodes = dict(zip(("AuObject", "Object"), stems, strict=False))
    operation = {
        "VoiceSeparate": {"AudioMode": "AudioAndBackground"},
        "Output": {"Bucket": bucket, "Region": region, **nodes},
        "MediaResult": {"OutputFile": {"Bucket": bucket, "Region": region, "ObjectName": list(stems)}},
    }
    return read_job({"JobId": "j1", "State": "Success", "Operation": operation}, "The job")


def beats(edited_emulator: MediaxEmulator) -> Job:
    content_id = json.loads(edited_emulator.connection_json())["extra"]["content_id"]
    output = {
        "contentId": content_id,
        "destination": "/out/",
        "smartContentDescriptor": {"musicBeat": {}},
        "smartContentResult": {"musicBeat": {"beatFileName": "a.json", "mergeFileName": "a.wav"}},
    }
    return Job(id="m1", state=JobState.SUCCEEDED, state_name="COMPLETED", raw={"outputs": [output]})


def requests(emulator: MediaxEmulator) -> list[tuple[str, str]]:
    return [(request["action"], request["path"]) for request in emulator.ledger()["requests"]]


def check(job: Job, hook: CloudInfiniteHook | MediaxHook | None = None) -> None:
    hook = hook or CloudInfiniteHook()
    hook._log = cast("Any", logging.getLogger("task"))  # Airflow's own goes past what tests can read
    try:
        hook.check_outputs(job)
    finally:
        hook.close()


def test_files_that_are_there_are_looked_at_once_each(edited: Edited, log: pytest.LogCaptureFixture) -> None:
    emulator = edited()
    for key in ("v", "b"):
        emulator.put_object(key, b"1")
    check(separation("v", "b"))
    assert sorted(requests(emulator)) == [("HeadObject", "/b"), ("HeadObject", "/v")]
    assert said(log, "INFO") == ["All files of job j1 are there: 2 looked at"]
    assert said(log, "WARNING") == []


def test_each_missing_and_each_empty_stem_is_named_with_the_job(edited: Edited, log: pytest.LogCaptureFixture) -> None:
    edited().put_object("b", b"")
    with pytest.raises(ResultMissing) as caught:
        check(separation("v", "b"))
    assert caught.value.what == (
        f"The job succeeded, but lacks 2 of its 2 files: cos://{BUCKET}/v is missing; cos://{BUCKET}/b is empty"
    )
    assert caught.value.job_id == "j1"
    assert said(log, "WARNING") == []


def test_a_stem_that_comes_after_the_first_look_is_there(
    edited: Edited, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "LOOKS", (0.0, 1.5, 5.0))
    emulator = edited()
    emulator.put_object("b", b"1")

    def arrive() -> None:
        _asked_for(emulator, "/v")
        emulator.put_object("v", b"1")

    arrival = threading.Thread(target=arrive)
    arrival.start()
    check(separation("v", "b"))
    arrival.join()
    assert requests(emulator).count(("HeadObject", "/b")) == 1
    assert said(log, "WARNING") == []


def _asked_for(emulator: MediaxEmulator, path: str) -> None:
    give_up = time.monotonic() + 20
    while ("HeadObject", path) not in requests(emulator):
        assert time.monotonic() < give_up
        threading.Event().wait(0.02)


def test_an_output_in_another_bucket_and_region_is_looked_for_there(edited: Edited) -> None:
    emulator = edited()
    with pytest.raises(ResultMissing):
        check(separation("v"))
    hosts = {request["host"] for request in emulator.ledger()["requests"]}
    assert hosts == {f"{BUCKET}.cos.{REGION}.myqcloud.com"}
    emulator.reset()
    check(separation("v", bucket="stems-1250000000", region="ap-beijing"))  # it has no such bucket
    hosts = {request["host"] for request in emulator.ledger()["requests"]}
    assert hosts == {"stems-1250000000.cos.ap-beijing.myqcloud.com"}


@pytest.mark.parametrize("place", [{"bucket": "gone-1250000000"}, {"region": "ap-beijing"}])
def test_a_bucket_that_is_not_there_is_one_warning(
    edited: Edited, log: pytest.LogCaptureFixture, place: dict[str, str]
) -> None:
    edited()
    check(separation("v", "b", **place))
    (warning,) = said(log, "WARNING")
    assert "/v and 1 more could not be looked at: There is no cos://" in warning
    assert "the task goes on" in warning


@pytest.mark.parametrize("action", ["HeadObject", "HeadBucket"])
@pytest.mark.parametrize("kind", ["unauthorized", "drop_before", "500", "slow_down", "error_response"])
def test_whatever_keeps_cos_from_answering_is_one_warning(
    edited: Edited, log: pytest.LogCaptureFixture, action: str, kind: str
) -> None:
    emulator = edited()
    emulator.fail_next(action, kind, times=100)
    check(separation("v", "b"))
    (warning,) = said(log, "WARNING")
    assert "could not be looked at" in warning


def test_keys_that_are_refused_are_one_warning_that_says_what_to_check(
    edited: Edited, log: pytest.LogCaptureFixture
) -> None:
    edited(cos_secret_key="another")
    check(separation("v", "b"))
    (warning,) = said(log, "WARNING")
    assert "HTTP status 403" in warning
    assert "Check cos_secret_id, cos_secret_key" in warning
    assert "another" not in warning


def test_a_fault_that_passes_hides_neither_a_file_nor_its_absence(
    edited: Edited, log: pytest.LogCaptureFixture
) -> None:
    emulator = edited()
    emulator.put_object("v", b"1")
    emulator.fail_next("HeadObject", "503", times=2)
    emulator.fail_next("HeadBucket", "drop_before")
    with pytest.raises(ResultMissing, match=r"lacks 1 of its 2 files: cos://music-1250000000/b is missing"):
        check(separation("v", "b"))
    assert said(log, "WARNING") == []


def test_a_redirect_to_another_region_is_one_warning(edited: Edited, log: pytest.LogCaptureFixture) -> None:
    moved = http(b"", 301, Location="https://elsewhere.example/", x_cos_bucket_region="ap-beijing")
    with StubServer([Answer(moved)]) as stub:
        edited(cos_endpoint=stub.url)
        check(separation("v"))
    (warning,) = said(log, "WARNING")
    assert "could not be looked at" in warning


@pytest.mark.parametrize("script", [[http(b"")], [http(b"", 404), http(b"")]])
def test_a_proxy_that_answers_in_the_place_of_cos_is_one_warning(
    edited: Edited, log: pytest.LogCaptureFixture, script: list[bytes]
) -> None:
    with StubServer([Answer(data) for data in script]) as stub:
        edited(cos_endpoint=stub.url)
        check(separation("v"))
    (warning,) = said(log, "WARNING")
    assert "a proxy may" in warning


def test_a_silent_store_holds_a_finished_task_up_for_ten_seconds_at_most(
    edited: Edited, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs, "CALL_SECONDS", 0.2)
    monkeypatch.setattr(outputs, "LAST_QUESTION", 0.6)
    monkeypatch.setattr(decisions, "LOOKS", (0.0, 0.15, 0.5))
    with socket.create_server(("127.0.0.1", 0), backlog=200) as silent:
        edited(cos_endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}")
        hook = CloudInfiniteHook()
        hook.connection  # noqa: B018 - looked up before the clock runs
        begun = time.monotonic()
        check(separation(*(f"stems/{number}" for number in range(100))), hook)
        taken = time.monotonic() - begun
    assert len(said(log, "WARNING")) == 1
    assert taken < 10  # 100 files of 0.2 s by eights would take 2.5 s a look, even if nobody disturbs this machine


def test_nothing_is_begun_after_six_seconds(edited: Edited) -> None:
    edited()
    now = iter([0.0, 5.9, 6.1, 6.2])
    connection = MediaxConnection.look_up("mediax_default")
    store = outputs.CosStore(connection, REGION, lambda: False, lambda: next(now))
    found = [store.look([CosAddress(BUCKET, "v")])[CosAddress(BUCKET, "v")] for _ in range(2)]
    assert found[0] is decisions.Seen.MISSING
    assert isinstance(found[1], MediaxError)
    assert "longer than 6 s" in found[1].what
    store.close()


def test_of_very_many_files_a_hundred_are_looked_at_and_the_log_says_so(
    edited: Edited, log: pytest.LogCaptureFixture
) -> None:
    emulator = edited()
    keys = [f"stems/{number:03}" for number in range(120)]
    for key in keys[:100]:
        emulator.put_object(key, b"1")
    connection = MediaxConnection.look_up("mediax_default")
    hook = CloudInfiniteHook()
    outputs.check_outputs(
        separation(),
        Promise(addresses=[CosAddress(BUCKET, key) for key in keys]),
        connection,
        run=hook.run,
        killed=lambda: False,
        log=logging.getLogger("task"),
    )
    hook.close()
    assert len(requests(emulator)) == 100
    assert said(log, "INFO")[0] == "Job j1 promises 120 files; the first 100 of them are looked for"


def test_a_kill_ends_the_look_at_once(edited: Edited, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "LOOKS", (0.0, 60.0, 120.0))
    emulator = edited()
    stop = StopSignal()
    hook = CloudInfiniteHook(stop=stop)

    def kill() -> None:
        _asked_for(emulator, "/v")
        stop.set()

    killer = threading.Thread(target=kill)
    killer.start()
    begun = time.monotonic()
    with pytest.raises(Stopped):
        check(separation("v"), hook)
    killer.join()
    assert requests(emulator).count(("HeadObject", "/v")) == 1
    assert time.monotonic() - begun < 30
    stop.close()


@pytest.mark.parametrize(
    ("lacking", "named"),
    [
        (("cos_secret_id", "cos_secret_key"), "cos_secret_id and cos_secret_key"),
        (("cos_region",), "cos_region"),
    ],
)
def test_without_keys_or_region_one_line_says_what_to_set(
    edited: Edited, log: pytest.LogCaptureFixture, lacking: tuple[str, ...], named: str
) -> None:
    emulator = edited(**dict.fromkeys(lacking))
    check(beats(emulator), MediaxHook())
    assert said(log, "INFO") == [
        f"The 2 files of job m1 are not looked for: set {named} in connection mediax_default to have that done"
    ]
    assert requests(emulator) == []


def test_a_missing_file_of_the_platform_is_one_warning_that_names_it(
    edited: Edited, log: pytest.LogCaptureFixture
) -> None:
    emulator = edited()
    emulator.put_object("out/a.wav", b"1")
    check(beats(emulator), MediaxHook())
    (warning,) = said(log, "WARNING")
    assert warning.endswith(f"the task goes on. cos://{BUCKET}/out/a.json is missing")


def test_an_empty_file_of_the_platform_fails_beside_a_missing_one(
    edited: Edited, log: pytest.LogCaptureFixture
) -> None:
    emulator = edited()
    emulator.put_object("out/a.wav", b"")
    with pytest.raises(ResultMissing, match=rf"lacks 1 of its 2 files: cos://{BUCKET}/out/a.wav is empty \(job m1\)"):
        check(beats(emulator), MediaxHook())
    (warning,) = said(log, "WARNING")
    assert warning.endswith(f"cos://{BUCKET}/out/a.json is missing")


def test_a_job_without_files_asks_nothing_and_says_nothing(edited: Edited, log: pytest.LogCaptureFixture) -> None:
    emulator = edited()
    check(Job(id="m1", state=JobState.SUCCEEDED, state_name="COMPLETED", raw={}), MediaxHook())
    assert requests(emulator) == []
    assert said(log, "INFO") == []


@pytest.mark.parametrize("key", ["..", "x" * 900, "\ud800"], ids=["dots", "long", "surrogate"])
def test_a_name_that_cannot_be_asked_for_is_one_warning(
    edited: Edited, log: pytest.LogCaptureFixture, key: str
) -> None:
    edited()
    check(separation(key))
    (warning,) = said(log, "WARNING")
    assert warning.encode()
