"""The page: nothing of it is fetched, nothing of it runs but its own script, every text is text."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import re
import shutil
import subprocess
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.report import pages
from airflow_provider_mediax.report.pages import MOST_ROWS, report_page
from tests.unit.report.manifests import failed, lyrics, manifest, tags, tone

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
EVIL = "</script><script>document.title = 'owned'</script><img src=x onerror=alert(1)>"


@pytest.fixture(autouse=True)
def connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", json.dumps({"conn_type": "mediax"}))


def made(*manifests: dict[str, Any], **options: Any) -> str:
    return report_page(
        manifests,
        "mediax_default",
        log=logging.getLogger(__name__),
        now=lambda: datetime(2026, 11, 26, tzinfo=UTC),
        **options,
    )


class Parts(HTMLParser):
    """Tags with their attributes, in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def sound_file(folder: Path, name: str = "a.wav", **options: Any) -> str:
    (folder / name).write_bytes(tone(**options))
    return (folder / name).as_uri()


def beaten(folder: Path) -> dict[str, Any]:
    (folder / "beats.json").write_text(json.dumps({"tempo": 112.0, "beats": [0.5, 1.0]}))
    beats = (folder / "beats.json").as_uri()
    return manifest("musicBeat", {"mergeFileName": sound_file(folder, "clicks.wav"), "beatFileName": beats}, 5)


def test_one_track_is_shown_with_all_that_is_known(tmp_path: Path) -> None:
    page = made(tags(), lyrics("sing with me"), beaten(tmp_path), audio=sound_file(tmp_path))
    players = [attributes for tag, attributes in Parts(page).found if tag == "audio"]
    assert [player["aria-label"] for player in players] == ["The track", "With clicks"]
    assert all(str(player["src"]).startswith("data:audio/wav;base64,") for player in players)
    for words in ("song.wav", "Exciting", "30 %", "sing with me", "112.0 beats per minute", "job-1", "2026-11-26"):
        assert words in page


@pytest.mark.parametrize("many", [False, True])
def test_no_text_becomes_markup(many: bool) -> None:
    evil = tags(mood=EVIL, job_id=EVIL, marker=EVIL, input=f"cos://b-1/{EVIL}")
    song = [evil, {**lyrics(EVIL), "input": evil["input"]}, failed(3, EVIL, input=evil["input"])]
    page = made(*song, *([tags(9, input="cos://b-1/other.wav")] if many else []), title=EVIL)
    found = Parts(page).found
    assert [tag for tag, _ in found].count("script") == 1
    assert not {"img", "iframe", "a", "link", "form", "object"} & {tag for tag, _ in found}
    assert not [name for _, attributes in found for name in attributes if name.startswith("on") or name == "style"]
    assert EVIL not in page
    assert EVIL in unescape(page)


def test_the_policy_names_the_pages_own_style_and_script_only() -> None:
    page = made(tags())
    (policy,) = [a["content"] for tag, a in Parts(page).found if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"


def test_the_page_holds_no_address_that_a_browser_fetches(tmp_path: Path) -> None:
    page = made(tags(), beaten(tmp_path))
    sources = [value for _, a in Parts(page).found for name, value in a.items() if name in ("src", "href", "srcset")]
    assert all(str(value).startswith("data:") for value in sources)
    assert "url(" not in page
    assert "@import" not in page


def test_the_script_has_at_most_300_lines() -> None:
    script = files("airflow_provider_mediax.report.page").joinpath("page.js").read_text(encoding="utf-8")
    assert len(script.splitlines()) <= 300
    for word in ("fetch(", "XMLHttpRequest", "innerHTML", "eval(", "localStorage"):
        assert word not in script


def test_a_sound_that_is_too_large_stands_there_with_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "EMBEDDED", 20_000)
    first, second = sound_file(tmp_path, seconds=1.0), sound_file(tmp_path, "b.wav", seconds=1.0)
    page = made(manifest("musicSeperate", {"stems": {"voice": first, "background": second}}))
    assert len(re.findall("<audio", page)) == 1
    assert f"<code>{second}</code>" in page
    assert f"<code>{first}</code>" not in page


def test_a_file_that_cannot_be_read_costs_only_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.wav").write_bytes(b"no sound")
    page = made(tags(), audio=(tmp_path / "a.wav").as_uri())
    assert "Exciting" in page
    assert "no waveform" in caplog.text
    assert "Exciting" in made(tags(), audio="cos://b-1/absent.wav")


def test_many_tracks_are_an_overview_with_failures_first(tmp_path: Path) -> None:
    songs = [tags(n, mood="Calm" if n % 3 else "Sad", input=f"cos://b-1/{n}.wav") for n in range(30)]
    page = made(
        *songs,
        failed(31, "it is too short", input="cos://b-1/31.wav"),
        {**beaten(tmp_path), "input": "cos://b-1/1.wav"},
    )
    body = page.split("<tbody>")[-1]
    assert body.index("31.wav") < body.index("0.wav")
    for words in ("31 tracks", "Calm", "it is too short", "per minute", "Duration of jobs", "<b>1</b> with failures"):
        assert words in page


def test_a_page_has_at_most_2000_rows() -> None:
    page = made(*(tags(n, input=f"cos://b-1/{n}.wav") for n in range(MOST_ROWS + 5)))
    assert page.split("<tbody>")[-1].count("<tr") == MOST_ROWS
    assert "5 are left out" in page


@pytest.mark.parametrize("given", [[], [{"schema": 1}], ["text"]])
def test_what_is_no_manifest_is_refused(given: list[Any]) -> None:
    with pytest.raises(BadRequest, match="manifests"):
        made(*given)


@pytest.mark.full
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium; Debian has it as the package chromium")
def test_a_browser_runs_the_pages_script_and_no_other(tmp_path: Path) -> None:
    page = made(tags(mood=EVIL), lyrics(EVIL), title="the title", audio=sound_file(tmp_path))
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    assert CHROMIUM is not None
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom")
    done = subprocess.run(
        [CHROMIUM, *options, f"--user-data-dir={tmp_path}/profile", (tmp_path / "page.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert "<title>the title</title>" in done.stdout
    assert 'role="slider"' in done.stdout  # its own script has run
    assert done.stdout.count("<script") == 1
