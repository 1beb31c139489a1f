"""An emulator that runs for long does not grow for long."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_mediax.emulator.ci import templates
from airflow_provider_mediax.emulator.ci.errors import CiError
from airflow_provider_mediax.emulator.mediax import voices
from airflow_provider_mediax.emulator.mediax.jobs import MediaxJob
from airflow_provider_mediax.emulator.process import EmulatorError, MediaxEmulator
from airflow_provider_mediax.emulator.shared import accounts
from airflow_provider_mediax.emulator.shared.accounts import BUCKET, PRESET, REGION
from airflow_provider_mediax.emulator.shared.objects import ObjectStore, StoredObject, StoreFull, Upload
from airflow_provider_mediax.emulator.shared.wire import JsonObject
from tests.unit.emulator.ci_helpers import Ci, proxied_sdk, refused, xml
from tests.unit.emulator.helpers import Platform, clicks

MIB = 1024 * 1024
OVERHEAD = 1024  # bytes that an object counts besides its own


@pytest.fixture(scope="module")
def small_process() -> Iterator[MediaxEmulator]:
    with MediaxEmulator.start("--max-records", "3", "--max-object-mib", "2") as emulator:
        yield emulator


@pytest.fixture
def small(small_process: MediaxEmulator) -> MediaxEmulator:
    """An emulator that keeps 3 records of a kind and 2 MiB of objects."""
    small_process.reset()
    small_process.durations("*", 0)
    return small_process


def test_the_oldest_requests_are_forgotten(small: MediaxEmulator) -> None:
    platform = Platform(small.url)
    for name in "abcde":
        platform.call("GetJob", {"id": name})
    assert [record["job_id"] for record in small.ledger()["requests"]] == ["c", "d", "e"]


def test_the_oldest_jobs_are_forgotten_at_each_service(small: MediaxEmulator) -> None:
    small.put_object("in/track.wav", clicks(120, 1, channels=2))
    small.outcome("*", "NEVER", times=100)  # not even a job that goes on for ever is kept
    platform, ci = Platform(small.url), Ci(small.url)
    ids = [platform.create(customId=f"marker-{place}")["id"] for place in range(5)]
    assert [job["id"] for job in small.ledger()["jobs"]] == ids[2:]
    assert platform.call("GetJob", {"id": ids[0]}).json()["errorResponse"]
    assert [platform.list(f"marker-{place}")["total"] for place in range(5)] == [0, 0, 1, 1, 1]
    theirs = [ci.submit()["JobId"] for _ in range(5)]
    assert sorted(ci.listed()) == sorted(theirs[2:])
    assert ci.ask("GET", f"/jobs/{theirs[0]}") == {"NonExistJobIds": theirs[0]}
    assert len(small.ledger()["jobs"]) == 6


def test_what_does_not_fit_is_refused_and_what_is_there_stays(small: MediaxEmulator) -> None:
    small.put_object("a", b"x" * MIB)
    with pytest.raises(EmulatorError, match=r"at most 2 MiB of objects.*--max-object-mib"):
        small.put_object("b", b"x" * MIB)
    error = refused(400, "EmulatorFull", proxied_sdk(small.url).put_object, BUCKET, b"x" * MIB, "b")
    assert "--max-object-mib" in error.get_error_msg()
    assert small.object_keys() == ["a"]
    small.put_object("a", b"y" * (2 * MIB - OVERHEAD))  # in the place of the first
    small.delete_object("a")
    small.put_object("b", b"x" * MIB)
    assert small.object_keys() == ["b"]


def test_a_job_whose_files_do_not_fit_fails_and_says_so(small: MediaxEmulator) -> None:
    track = clicks(120, 1, channels=2)
    small.put_object("in/track.wav", track)
    small.put_object("rest", b"x" * (2 * MIB - len(track) - 3 * OVERHEAD))
    ci, platform = Ci(small.url), Platform(small.url)
    assert ci.finish(ci.submit())["State"] == "Failed"
    output = {"contentId": platform.account.content_id}
    assert platform.finish(platform.create("musicSeperate", {"method": 1}, output=output))["state"] == 4
    assert ["--max-object-mib" in job["message"] for job in small.ledger()["jobs"]] == [True, True]


def test_parts_of_uploads_count_until_the_upload_ends() -> None:
    bucket = ObjectStore(2).create(BUCKET, REGION)
    part = StoredObject.of(b"x" * MIB, 0)

    def begin() -> Upload:
        upload = bucket.begin_upload("a", 0, "", {})
        bucket.put_part(upload, 1, part)
        bucket.put_part(upload, 1, part)  # in the place of the first
        with pytest.raises(StoreFull):
            bucket.put_part(upload, 2, part)
        return upload

    bucket.put_parts(begin(), [part], 0)
    assert (bucket.keys(), bucket.uploads) == (["a"], {})
    bucket.delete("a")
    for _ in range(3):
        bucket.abort(begin())
    assert bucket.uploads == {}


def test_uploads_without_parts_count_too() -> None:
    bucket = ObjectStore(1).create(BUCKET, REGION)
    for _ in range(1024):
        bucket.begin_upload("a", 0, "", {})
    with pytest.raises(StoreFull):
        bucket.begin_upload("a", 0, "", {})
    assert len(bucket.uploads) == 1024


def test_a_reset_makes_room(small: MediaxEmulator) -> None:
    for _ in range(3):
        small.put_object("a", b"x" * MIB)
        small.reset()
    assert small.object_keys() == []


@pytest.mark.parametrize("option", ["--max-records", "--max-object-mib"])
@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_a_bound_is_a_positive_number(option: str, value: str) -> None:
    with pytest.raises(EmulatorError, match="is not a positive number"):
        MediaxEmulator.start(f"{option}={value}")


@pytest.mark.parametrize("times", [0, 100_001, True, 1.5])
def test_a_decision_about_requests_or_jobs_has_a_bound(mediax_emulator: MediaxEmulator, times: int) -> None:
    with pytest.raises(EmulatorError, match="times must be an integer from 1 to 100000"):
        mediax_emulator.outcome("*", "ERROR", times=times)
    with pytest.raises(EmulatorError, match="times must be an integer from 1 to 100000"):
        mediax_emulator.fail_next("*", "500", times=times)


def test_accounts_templates_and_voices_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (accounts, templates, voices):
        monkeypatch.setattr(module, "FEW", 2)
    book = accounts.Accounts()
    new = {"source": "1_a", "cos_secret_id": "id", "cos_secret_key": "key", "region": REGION}
    for place in range(2):
        book.register(bucket=f"bucket-{place}", **new)
    with pytest.raises(accounts.RegistrationRefused, match="at most 2"):
        book.register(bucket="bucket-2", **new)
    kept = templates.Templates()
    made = [kept.save(BUCKET, template(name), 0) for name in ("a", "b")]
    with pytest.raises(CiError, match="at most 2"):
        kept.save(BUCKET, template("c"), 0)
    assert kept.save(BUCKET, template("d"), 0, made[0].id).name == "d"
    trained = voices.Voices()
    for name in "abc":
        descriptor = {"singingCloning": {"type": 2, "modelName": name}}
        request: JsonObject = {"outputs": [{"smartContentDescriptor": descriptor}]}
        job = MediaxJob(account=PRESET, capability="singingCloning", owner="x", marker=None, request=request)
        trained.learn(job, 0)
    listed = trained.list(PRESET, {})["models"]
    assert isinstance(listed, list)
    assert [voice["name"] for voice in listed] == ["b", "c"]


def template(name: str) -> bytes:
    separation = {"AudioMode": "IsAudio", "AudioConfig": {"Codec": "wav"}}
    return xml("Request", {"Tag": "VoiceSeparate", "Name": name, **separation})
