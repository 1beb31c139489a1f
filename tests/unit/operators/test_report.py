"""The operator and the command that write a report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.operators.report import MusicReportOperator
from tests.unit.cli.said import run_command
from tests.unit.report.manifests import lyrics, tags

CONNECTION = '{"conn_type": "mediax", "login": "an-id", "password": "a-key-of-nobody", "extra": {}}'


@pytest.fixture(autouse=True)
def connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", CONNECTION)


def written(tmp_path: Path, manifests: Any, **options: Any) -> str:
    target = f"file://{tmp_path}/a folder/page.html"
    operator = MusicReportOperator(task_id="report", manifests=manifests, output=target, **options)
    assert operator.execute({}) == target
    return (tmp_path / "a folder" / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("manifests", [tags(), [tags(), None, lyrics("la")], (tags(),), json.dumps([tags()])])
def test_it_takes_a_manifest_a_list_and_a_rendered_text(tmp_path: Path, manifests: Any) -> None:
    assert "Exciting" in written(tmp_path, manifests, title="a title")


@pytest.mark.parametrize("manifests", [None, "", [], [None], 7, "no manifest", [{"schema": 1}]])
def test_what_is_no_manifest_fails_and_writes_nothing(tmp_path: Path, manifests: Any) -> None:
    with pytest.raises(BadRequest):
        written(tmp_path, manifests)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("output", ["", "report.html", None, "cos://other_conn@b-1250000000/a.html"])
def test_a_page_needs_an_address_of_its_own_connection(output: Any) -> None:
    with pytest.raises(BadRequest, match="output"):
        MusicReportOperator(task_id="report", manifests=tags(), output=output).execute({})


class TestCommand:
    def test_it_writes_the_page_of_manifests_from_files_and_lines(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "list.json").write_text(json.dumps([tags(), None]))
        (tmp_path / "lines.jsonl").write_text(f"{json.dumps(lyrics('sing'))}\n\n{json.dumps(tags(3, mood='Calm'))}\n")
        page = tmp_path / "out" / "page.html"
        files = [str(tmp_path / "list.json"), str(tmp_path / "lines.jsonl")]
        said = run_command(["report", *files, "--out", str(page)], capsys, monkeypatch, CONNECTION)
        assert (said.code, said.out) == (0, f"{page}\n")
        text = page.read_text(encoding="utf-8")
        assert all(f">{words}<" in text or f" {words}<" in text for words in ("Exciting", "sing", "Calm"))

    def test_it_reads_standard_input(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        page = tmp_path / "page.html"
        said = run_command(
            ["report", "-", "--out", str(page)], capsys, monkeypatch, CONNECTION, stdin=json.dumps(tags())
        )
        assert said.code == 0
        assert page.exists()

    @pytest.mark.parametrize("content", ["no JSON", "[]", "{}", '{"a": 1}\n{'])
    def test_what_holds_no_manifest_is_used_wrongly(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, content: str
    ) -> None:
        (tmp_path / "a.json").write_text(content)
        said = run_command(["report", str(tmp_path / "a.json")], capsys, monkeypatch, CONNECTION)
        assert said.code == 2
        assert said.err
