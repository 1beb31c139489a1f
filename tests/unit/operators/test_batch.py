"""Bad input of a batch is refused with its place, its field and its rule, before anything is bought."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import BadRequest, NotFound, WaitTimeout
from airflow_provider_mediax.operators.batch import MusicBatchOperator, shards
from airflow_provider_mediax.operators.batch_requests import operators
from airflow_provider_mediax.protocol.ci.requests import TAG
from airflow_provider_mediax.protocol.mediax.capabilities import CAPABILITIES

CONNECTION = {
    "conn_type": "mediax",
    "host": "http://127.0.0.1:1",  # nothing listens there
    "login": "id",
    "password": "key",
    "extra": {
        "content_id": "1",
        "cos_region": "ap-guangzhou",
        "cos_bucket": "music-1250000000",
        "cos_secret_id": "AKID",
        "cos_secret_key": "secret",
    },
}


class TaskInstance:
    """What the operator asks of Airflow's own."""

    dag_id, run_id, task_id, map_index = "dag", "run", "batch", -1
    try_number, max_tries = 1, 0

    def __init__(self) -> None:
        self.start_date = datetime.now(UTC)
        self.xcoms: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


@pytest.fixture(autouse=True)
def connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", json.dumps(CONNECTION))
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Any]:
    """Return a function that executes a batch; whatever it buys has nowhere to go."""

    def execute(**options: Any) -> Any:
        defaults: dict[str, Any] = {
            "capability": "musicTagV2",
            "items": ["in/a.mp3"],
            "output": f"file://{tmp_path}/out",
            "allow_local_output": True,
        }
        operator = MusicBatchOperator(task_id="batch", **{**defaults, **options})
        ti = TaskInstance()
        context: Any = {"ti": ti, "dag_run": SimpleNamespace(run_after=datetime.now(UTC))}
        return operator.execute(context)

    return execute


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no items": ({"items": []}, r"items='' is refused: the source holds no items"),
    "no address": ({"items": ""}, "items"),
    "too many in place": ({"items": ["a"] * 1001}, "1001 items.*write them to a file"),
    "a file of another kind": ({"items": "file:///tmp/a.txt"}, r"\.jsonl, \.csv or \.parquet"),
    "an item without input": ({"items": [{"id": "a"}]}, r"items\[0\].*url"),
    "two inputs": ({"items": ["a", {"url": "http://a.invalid/b", "path": "c"}]}, r"items\[1\]: path='c'"),
    "an unknown key": ({"items": [{"pth": "c"}]}, r"items\[0\]: pth='c'.*path"),
    "no item at all": ({"items": [7]}, r"items\[0\]"),
    "metadata of objects": ({"items": [{"path": "a", "metadata": {"x": {}}}]}, r"metadata\.x"),
    "one id, two requests": ({"items": [{"id": "1", "path": "a"}, {"id": "1", "path": "b"}]}, r"items\[1\]: id='1'"),
    "a wrong path": ({"items": ["a", "../b"]}, r"items\[1\]: path"),
    "a wrong parameter of an item": (
        {"items": [{"path": "a", "parameters": {"tag_types": "mud"}}]},
        r"items\[0\]: tag_types",
    ),
    "an unknown parameter of an item": ({"items": [{"path": "a", "parameters": {"tag": "x"}}]}, r"items\[0\]: tag="),
    "a destination without files": ({"items": [{"path": "a", "destination": "/x"}]}, "writes no files"),
    "a text for a track": ({"items": [{"source_data": "la"}]}, "musicTagV2 takes url or path"),
    "an unknown parameter": ({"parameters": {"tag": "x"}}, "tag='x'.*tag_types"),
    "a parameter of the batch": ({"parameters": {"callback": "http://x.invalid"}}, "callback"),
    "an unknown capability": ({"capability": "musicTag"}, "musicTagV2"),
    "no capability": ({"capability": []}, "capability"),
    "a capability that lacks an argument": ({"capability": "singingCloning"}, "needs it"),
    "a track at another host for stems": (
        {"capability": TAG, "parameters": {"mode": "IsAudio"}, "items": ["http://a.invalid/b.mp3"]},
        "objects in COS alone",
    ),
    "a track in another bucket for stems": (
        {"capability": TAG, "parameters": {"mode": "IsAudio"}, "items": ["cos://other-1250000000/b.mp3"]},
        "music-1250000000",
    ),
    "a shard out of range": ({"shard": "5/3"}, "shard='5/3'"),
    "no shard": ({"shard": "a/b"}, "shard"),
    "a local output": ({"allow_local_output": False}, "allow_local_output=True"),
    "an output that is no address": ({"output": "batches"}, "output='batches'"),
    "an unknown format": ({"output_format": "csv"}, "output_format"),
    "a negative budget": ({"max_new_jobs": -1}, "max_new_jobs"),
    "nothing in flight": ({"max_in_flight": 0}, "max_in_flight"),
    "a rate of zero": ({"requests_per_second": 0}, "requests_per_second"),
    "a share above one": ({"on_item_error": 2}, "on_item_error"),
    "a word for a share": ({"on_item_error": "stop"}, "on_item_error"),
    "not to be waited for": ({"wait_for_completion": False}, "wait_for_completion"),
    "an accident of a key": ({"idempotency_key": "None"}, "idempotency_key"),
    "failed items of nothing": ({"only_failed_of": "file:///nowhere/at/all"}, "only_failed_of"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_by_name_before_anything_is_sent(case: str, run: Callable[..., Any]) -> None:
    options, said = BAD[case]
    with pytest.raises(BadRequest, match=said):
        run(**options)


def test_a_missing_source_is_not_found(run: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"nowhere\.jsonl"):
        run(items=f"file://{tmp_path}/nowhere.jsonl")


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("a.jsonl", b'"in/a.mp3"\n\n{"path": "b", "x": 1}\n', "a.jsonl, line 3: x=1"),
        ("a.jsonl", b'"in/a.mp3"\n{"path"\n', "a.jsonl, line 2: it is no JSON"),
        ("a.csv", b"path,param.tag_types\na,genre\nb,mud\n", "a.csv, line 3: tag_types=['mud']"),
        ("a.csv", b"path\na,b\n", "a.csv, line 2: the row has more cells"),
        ("a.csv", b"pth\na\n", "a.csv, line 2: pth='a'"),
        ("a.csv", b"path\n\xff\n", "no CSV in UTF-8"),
        ("a.parquet", b"no", "it is no Parquet file"),
        ("a.jsonl", b"\n", "the source holds no items"),
    ],
)
def test_a_wrong_line_of_a_file_is_named(
    run: Callable[..., Any], tmp_path: Path, name: str, content: bytes, place: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadRequest) as refused:
        run(items=f"file://{tmp_path}/{name}")
    assert place in refused.value.what


def test_without_pyarrow_parquet_names_its_extra(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(BadRequest, match=r"airflow-provider-mediax\[parquet\]"):
        run(output_format="parquet")


def test_every_capability_can_be_in_a_batch() -> None:
    assert set(operators()) == {*CAPABILITIES, TAG}


def test_shards_are_named_for_expand() -> None:
    assert shards(3) == ["0/3", "1/3", "2/3"]
    for wrong in (0, 1025, "3", True):
        with pytest.raises(BadRequest):
            shards(wrong)  # type: ignore[arg-type]


def test_a_dry_run_plans_everything_and_sends_nothing(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,path,meta.album\n1,a,x\n2,b,\n")
    assert run(items=f"file://{tmp_path}/a.csv", dry_run=True) is None
    assert not (tmp_path / "out").exists()


def test_a_list_of_items_is_not_kept_as_a_rendered_field() -> None:
    operator = MusicBatchOperator(
        task_id="batch", capability="musicTagV2", items=["{{ ds }}"] * 3, output="cos://b-1250000000/{{ ds }}"
    )
    context: Any = {"ds": "2026-11-26"}
    operator.render_template_fields(context)
    assert operator.items == "(3 items)"
    assert operator.output_folder == "cos://b-1250000000/2026-11-26"


def test_keys_of_the_connection_stand_in_no_file_of_the_folder(run: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(WaitTimeout):  # nothing listens
        run(items=["cos://other-1250000000/a.mp3"], execution_timeout=timedelta(seconds=6))
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"cos://other-1250000000/a.mp3" in written
    assert b"secret" not in written
    assert b"q-signature" not in written
