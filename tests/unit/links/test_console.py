"""Links to the console of COS: the right one of the two, and nothing signed."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import LazyDeserializedDAG

from airflow_provider_mediax.links.console import InputLink, ResultsLink, console_url
from airflow_provider_mediax.operators.base import JobOperator
from airflow_provider_mediax.operators.music import MusicTagOperator
from airflow_provider_mediax.operators.report import MusicReportOperator
from airflow_provider_mediax.protocol.urls import CosAddress, Located
from airflow_provider_mediax.provider_info import get_provider_info

KEY: Any = None


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("ap-guangzhou", "console.cloud.tencent.com"),
        ("ap-shanghai-fsi", "console.cloud.tencent.com"),
        ("ap-singapore", "console.tencentcloud.com"),
        ("na-siliconvalley", "console.tencentcloud.com"),
        ("ap-hongkong", "console.tencentcloud.com"),
        ("accelerate", "console.tencentcloud.com"),
    ],
)
def test_the_region_says_which_console_it_is(region: str, host: str) -> None:
    assert urlsplit(console_url(Located(CosAddress("music-1", "a.wav"), region))).netloc == host


def test_the_console_shows_the_folder_of_the_object() -> None:
    url = console_url(Located(CosAddress("music-1250000000", "out/päth & more/a.wav"), "ap-guangzhou"))
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    path = query.pop("path")
    assert query == {"bucket": "music-1250000000", "region": "ap-guangzhou"}
    assert unquote(path) == "/out/päth & more/"


def test_an_object_at_the_top_leads_to_its_bucket() -> None:
    url = console_url(Located(CosAddress("music-1", "a.wav"), "ap-guangzhou"))
    assert url == "https://console.cloud.tencent.com/cos/bucket?bucket=music-1&region=ap-guangzhou"


def test_without_a_region_or_a_place_there_is_no_link() -> None:
    located = {"input": Located(CosAddress("music-1", "a.wav"), None)}
    operator: Any = SimpleNamespace(located=located)
    assert InputLink().get_link(operator, ti_key=KEY) == ""
    assert ResultsLink().get_link(operator, ti_key=KEY) == ""
    assert InputLink().get_link(object(), ti_key=KEY) == ""  # type: ignore[arg-type]


def test_every_link_of_the_operators_is_one_that_airflow_may_load() -> None:
    used = (*JobOperator.operator_extra_links, *MusicReportOperator.operator_extra_links)
    links = {f"{type(link).__module__}.{type(link).__name__}" for link in used}
    assert links == set(get_provider_info()["extra-links"])
    assert len(links) <= 3


@pytest.mark.parametrize("mapped", [False, True])
def test_the_links_are_stored_with_the_dag(mapped: bool) -> None:
    with DAG(dag_id="links") as dag:
        if mapped:
            MusicTagOperator.partial(task_id="job").expand(path=["a.wav"])
        else:
            MusicTagOperator(task_id="job", path="a.wav")
    stored = json.dumps(LazyDeserializedDAG.from_dag(dag).data)
    assert "_link_InputLink" in stored
    assert "_link_ResultsLink" in stored
