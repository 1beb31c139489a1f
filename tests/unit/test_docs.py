"""README and docs say what the code does: snippets are regions of files that tests run, names and links exist."""

from __future__ import annotations

import inspect
import itertools
import json
import pydoc
import re
import runpy
import textwrap
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_mediax import exceptions
from airflow_provider_mediax.metrics import METRICS
from airflow_provider_mediax.operators import music
from airflow_provider_mediax.operators.base import JobOperator
from airflow_provider_mediax.operators.report import MusicReportOperator
from airflow_provider_mediax.operators.voice_separation import VoiceSeparationOperator
from airflow_provider_mediax.protocol.ci import answers
from airflow_provider_mediax.protocol.ci import requests as ci_requests
from airflow_provider_mediax.protocol.mediax.capabilities import CAPABILITIES, listening, making
from airflow_provider_mediax.protocol.mediax.capabilities.base import Table
from airflow_provider_mediax.protocol.rows import COMMON, LOADED
from airflow_provider_mediax.provider_info import get_provider_info
from airflow_provider_mediax.results import Manifest, Owner, Place, schema
from airflow_provider_mediax.sensors.cos import CosKeySensor
from airflow_provider_mediax.sensors.job import CloudInfiniteJobSensor, MediaxJobSensor
from airflow_provider_mediax.transfers.results_to_sql import MediaxResultsToSqlOperator

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SNIPPETS = sorted((DOCS / "snippets").glob("*.py"))
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
DAG_FILES = [
    *sorted((ROOT / "dags").glob("*.py")),
    *(file for file in SNIPPETS if not file.name.startswith("test_")),
]
ERRORS = [
    kind for kind in vars(exceptions).values() if inspect.isclass(kind) and kind.__module__ == exceptions.__name__
]
OPERATORS: list[type[JobOperator[Any]]] = [
    kind
    for kind in vars(music).values()
    if inspect.isclass(kind) and issubclass(kind, JobOperator) and kind.__module__ == music.__name__
]
TABLES: list[type[Table]] = [
    kind
    for kind in (*vars(listening).values(), *vars(making).values())
    if inspect.isclass(kind)
    and issubclass(kind, Table)
    and kind.__module__ in (listening.__name__, making.__name__)
    # the two tasks are words of ours; the numbers are hardly anybody's
    and kind is not making.CloningTask
]

# It describes the emulator to its users, who hardly write DAGs there: its blocks are sketches of their own tests.
PAGES_WITH_SKETCHES = {"emulator.md"}

# It shows the package's own code to those who extend it.
PAGES_WITH_SOURCE = {"adding-a-capability.md"}


def name_of(file: Path) -> str:
    return file.name


def regions(file: Path) -> list[str]:
    """Return the texts between the marks ``[START name]`` and ``[END name]`` of a file."""
    found = re.findall(
        r"^# \[START (\w+)\]\n(.*?)^# \[END \1\]$", file.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    return [text.strip() for _, text in found]


def python_blocks(page: Path) -> list[str]:
    found = re.findall(r"^( *)```python\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(text).strip() for _, text in found]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name not in PAGES_WITH_SKETCHES | PAGES_WITH_SOURCE], ids=name_of
)
def test_every_python_block_is_a_region_of_a_file_that_runs(page: Path) -> None:
    known = [region for file in SNIPPETS for region in regions(file)]
    assert [block for block in python_blocks(page) if block not in known] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.name in PAGES_WITH_SOURCE], ids=name_of)
def test_every_python_block_is_code_of_the_package_or_its_tests(page: Path) -> None:
    files = [*(ROOT / "airflow_provider_mediax").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    code = "\n".join(file.read_text(encoding="utf-8") for file in files)
    known = code + textwrap.dedent(code) + re.sub(r"^    ", "", code, flags=re.MULTILINE)
    assert python_blocks(page)
    assert [block for block in python_blocks(page) if block not in known] == []


@pytest.mark.parametrize("file", SNIPPETS, ids=name_of)
def test_every_snippet_is_shown(file: Path) -> None:
    shown = [block for page in PAGES for block in python_blocks(page)]
    assert regions(file)
    assert [region for region in regions(file) if region not in shown] == []


@pytest.mark.parametrize("file", DAG_FILES, ids=name_of)
def test_every_dag_file_makes_a_dag_of_its_own_name(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """tests/integration/test_demo.py runs them."""
    monkeypatch.syspath_prepend(file.parent)  # as Airflow does with the dags folder
    (dag,) = [value for value in runpy.run_path(str(file)).values() if isinstance(value, DAG)]
    assert dag.dag_id == file.stem
    dag.validate()


@pytest.mark.parametrize("file", [file for file in DAG_FILES if file.parent.name == "dags"], ids=name_of)
def test_every_example_dag_says_what_it_is_retries_and_names_its_connection_once(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(file.parent))
    source = file.read_text(encoding="utf-8")
    assert source.count('"mediax_default"') == 1
    copy = runpy.run_path(str(file))
    (dag,) = [value for value in copy.values() if isinstance(value, DAG)]
    assert dag.dag_display_name != dag.dag_id
    assert dag.description
    assert {"mediax", "example"} <= set(dag.tags)
    assert {(task.retries or 0) >= 3 for task in dag.tasks} == {True}
    arguments = [getattr(task, "partial_kwargs", None) or vars(task) for task in dag.tasks]
    ours = [given["mediax_conn_id"] for given in arguments if "mediax_conn_id" in given]
    assert ours
    assert set(ours) == {copy["CONNECTION"]}


def test_the_first_dag_says_what_it_is_and_retries() -> None:
    (dag,) = [
        value for value in runpy.run_path(str(DOCS / "snippets" / "first_dag.py")).values() if isinstance(value, DAG)
    ]
    assert (dag.dag_display_name, dag.description, dag.tags) == ("First DAG", "Tags of a track, as rows.", {"mediax"})
    assert {task.retries for task in dag.tasks} == {3}


def test_the_first_dag_fits_into_fifteen_lines_without_sql() -> None:
    (region,) = regions(DOCS / "snippets" / "first_dag.py")
    assert len([line for line in region.splitlines() if line.strip()]) <= 15
    assert not re.search(r"\b(?:SELECT|INSERT|CREATE|DELETE)\b", region)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_path_named_exists(page: Path) -> None:
    """Paths in backticks, of tests above all."""
    named = re.findall(r"`((?:tests|docs|dags|scripts|benchmarks)/[\w./-]+)`", page.read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_page_is_on_the_map() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    assert [page.name for page in DOCS.glob("*.md") if page.name != "index.md" and f"({page.name})" not in index] == []


def test_every_field_of_the_connection_is_described() -> None:
    (connection,) = get_provider_info()["connection-types"]
    page = (DOCS / "connection.md").read_text(encoding="utf-8")
    fields = ["host", "login", "password", *connection["conn-fields"]]
    assert [field for field in fields if f"| `{field}` |" not in page] == []


def test_every_metric_is_described_as_the_code_says_it() -> None:
    page = (DOCS / "observing.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"^\| `(mediax\.[a-z.]+)` \| (.+) \|$", page, re.MULTILINE)) == dict(METRICS)


def test_every_link_is_described() -> None:
    page = (DOCS / "observing.md").read_text(encoding="utf-8")
    links = (*JobOperator.operator_extra_links, *MusicReportOperator.operator_extra_links)
    assert [link.name for link in links if f"| `{link.name}` |" not in page] == []


def sections(page: Path, level: str) -> dict[str, str]:
    """Return the texts under the headings of a level, by every name in backticks that a heading has."""
    parts = re.split(rf"^{level} (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = {"": parts[0]}
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        found |= dict.fromkeys(re.findall(r"`(\w+)`", heading), re.split(r"^##", text, flags=re.MULTILINE)[0])
    return found


@pytest.mark.parametrize(
    "operator",
    [*OPERATORS, VoiceSeparationOperator, MediaxJobSensor, CloudInfiniteJobSensor],
    ids=lambda kind: kind.__name__,
)
def test_every_argument_is_described_with_its_default(operator: type[BaseOperator]) -> None:
    """Its own in the operator's section, those of a base class before the sections."""
    page = DOCS / "operators.md"
    text = page.read_text(encoding="utf-8")
    assert f"`{operator.__name__}`" in text
    described = sections(page, "###")
    ours = itertools.takewhile(lambda base: base.__module__.startswith("airflow_provider_mediax"), operator.__mro__)
    arguments = [
        (base, argument)
        for base in ours
        for argument in inspect.signature(vars(base).get("__init__", lambda: None)).parameters.values()
        if argument.kind is argument.KEYWORD_ONLY
    ]
    assert arguments
    for base, argument in arguments:
        own = described.get(base.__name__, "" if base in OPERATORS else text)
        row = re.search(rf"^\| `{argument.name}` \|(.*)$", own, re.MULTILINE) or re.search(
            rf"^\| `{argument.name}` \|(.*)$", described[""], re.MULTILINE
        )
        assert row, argument.name
        if argument.name != "deferrable" and argument.default is not argument.empty:
            assert f"`{argument.default!r}`".replace("'", '"') in row[1], argument


@pytest.mark.parametrize(
    "kind",
    [*OPERATORS, VoiceSeparationOperator, MediaxJobSensor, CloudInfiniteJobSensor, CosKeySensor],
    ids=lambda kind: kind.__name__,
)
def test_help_describes_every_argument_once_the_inherited_ones_too(kind: type[BaseOperator]) -> None:
    described = re.findall(r"^ \|  :param (\w+):", pydoc.plain(pydoc.render_doc(kind)), re.MULTILINE)
    ours = [base for base in kind.__mro__ if base.__module__.startswith("airflow_provider_mediax")]
    signatures = [inspect.signature(vars(base)["__init__"]) for base in ours if "__init__" in vars(base)]
    taken = [one.name for own in signatures for one in own.parameters.values() if one.kind is one.KEYWORD_ONLY]
    assert len(taken) >= 3
    assert described == [*taken, "kwargs"]


def test_help_of_a_users_own_operator_describes_the_inherited_arguments() -> None:
    class Moods(music.MusicTagOperator):
        """
        Moods only.

        :param least: least probability.
        :param path: a track of ours.
        :raises BadRequest: always.
        """

    class Undocumented(music.MusicTagOperator):
        pass

    assert Moods.__doc__ is not None
    lines = Moods.__doc__.splitlines()
    assert lines[:5] == [
        "Moods only.",
        "",
        ":param least: least probability.",
        ":param path: a track of ours.",
        *lines[4:5],
    ]
    assert lines[4].startswith(":param tag_types:")
    assert lines[-1] == ":raises BadRequest: always."
    assert len([line for line in lines if line.startswith(":param path:")]) == 1
    assert inspect.getdoc(Undocumented) == inspect.getdoc(music.MusicTagOperator)


def test_every_error_is_described() -> None:
    page = (DOCS / "operators.md").read_text(encoding="utf-8")
    assert [kind.__name__ for kind in ERRORS if f"| `{kind.__name__}` |" not in page] == ["MediaxError"]


def columns_of(section: str) -> list[str]:
    """Return the rows of the tables whose columns are a column's name, type and meaning."""
    return re.findall(r"^\| `\w+` \| (?:text|integer|number) \| .+ \|$", section, re.MULTILINE)


def as_described(columns: tuple[Any, ...]) -> list[str]:
    return [f"| `{column.name}` | {column.type} | {column.meaning} |" for column in columns]


@pytest.mark.parametrize("capability", [*CAPABILITIES, "VoiceSeparate"])
def test_the_columns_of_the_rows_are_described_as_schema_says_them(capability: str) -> None:
    section = sections(DOCS / "results.md", "##")[capability]
    own = schema(capability).columns[len(COMMON) :]
    assert own
    assert columns_of(section) == as_described(own)


def test_the_columns_that_all_rows_begin_with_are_described_as_schema_says_them() -> None:
    before_the_sections = sections(DOCS / "results.md", "##")[""]
    assert columns_of(before_the_sections) == as_described(schema("musicASR").columns[: len(COMMON)])


def test_the_columns_that_rows_have_in_a_warehouse_are_described_as_they_are() -> None:
    assert columns_of((DOCS / "warehouse.md").read_text(encoding="utf-8")) == as_described(LOADED)


def test_every_argument_of_a_load_is_described_with_its_default() -> None:
    page = (DOCS / "warehouse.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| ?([^|]*?) ?\|", page, re.MULTILINE))
    own = inspect.signature(MediaxResultsToSqlOperator.__init__).parameters.values()
    taken = {one.name: one.default for one in own if one.kind is one.KEYWORD_ONLY}
    shown = {name: "" if default is inspect.Parameter.empty else f"`{default!r}`" for name, default in taken.items()}
    assert {name: rows.get(name) for name in taken} == {name: text.replace("'", '"') for name, text in shown.items()}


def test_every_member_of_the_manifest_is_described_in_its_order() -> None:
    section = (DOCS / "operators.md").read_text(encoding="utf-8").split("\n## The manifest\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
    described = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert described == list(Manifest.__annotations__)


def test_the_readme_shows_a_manifest_with_all_its_members() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (shown,) = (
        read for block in re.findall(r"```json\n(.*?)```", readme, re.DOTALL) if "job_id" in (read := json.loads(block))
    )
    assert list(shown) == list(Manifest.__annotations__)
    assert [list(shown[name]) for name in ("owner", "place")] == [
        list(Owner.__annotations__),
        list(Place.__annotations__),
    ]


def test_the_table_of_operators_says_what_each_leaves() -> None:
    page = sections(DOCS / "operators.md", "##")[""]
    rows = dict(re.findall(r"^\| `(\w+)` \| .+ \| (.+) \|$", page, re.MULTILINE))
    every: list[type[Any]] = [*OPERATORS, VoiceSeparationOperator]
    assert set(rows) == {kind.__name__ for kind in every}
    leaves_files = {kind.__name__: kind.computes.writes_files for kind in OPERATORS if hasattr(kind, "computes")}
    assert {name: "file" in rows[name] for name in leaves_files} == leaves_files


NAMED = [table for table in TABLES if table.__members__]  # of the others the reference lists no values


@pytest.mark.parametrize("table", NAMED, ids=[table.__name__ for table in NAMED])
def test_every_name_of_an_enum_is_described_with_its_number(table: type[Table]) -> None:
    page = (DOCS / "operators.md").read_text(encoding="utf-8")
    missing = [name for name, value in table.__members__.items() if f"`{name}` ({value:d}" not in page]
    assert missing == [name for name in ("MULTI_TRACE",) if name in table.__members__]


def test_every_mode_and_its_stems_are_described() -> None:
    page = (DOCS / "voice-separation.md").read_text(encoding="utf-8")
    section = page.split("## Modes")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `([A-Z]\w+)` \| ([a-z, ]+) \|$", section, re.MULTILINE))
    assert {mode: set(stems.split(", ")) for mode, stems in rows.items()} == {
        mode: set(stems) for mode, stems in ci_requests.MODES.items()
    }


def test_every_code_of_cloud_infinite_that_has_advice_is_described_with_its_error() -> None:
    page = (DOCS / "voice-separation.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| `(\w+)` \|", page, re.MULTILINE)
    described = {code.strip("` "): kind for codes, kind in rows for code in codes.split(",")}
    known = {code: kind.__name__ for code, (kind, _) in answers._CODES.items()}
    assert described == known
