"""An address of ours is named only where the request says nothing about whom to tell."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_mediax.protocol.mediax.capabilities.listening import MusicTag
from airflow_provider_mediax.protocol.mediax.gateway import Gateway, PlatformKeys
from airflow_provider_mediax.protocol.mediax.request import CapabilityRequest, MediaxInput, Repository
from airflow_provider_mediax.protocol.mediax.service import MediaxService
from tests.unit.protocol.helpers import request, separations

OURS = "https://b-1250000000.cos.ap-guangzhou.myqcloud.com/m?append=&position=0"
QUEUE = {"MqRegion": "bj", "MqMode": "Queue", "MqName": "q"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, OURS),
        ({"callback": "no"}, "no"),
        ({"callback": "https://mine.example/"}, "https://mine.example/"),
        ({"callback_type": "TDMQ", "callback_mq": QUEUE}, None),
    ],
)
def test_of_cloud_infinite(given: dict[str, Any], told: str | None) -> None:
    service = separations()
    prepared = service.prepare(request(**given))
    assert service.called_back(prepared, OURS).body["CallBack"] == told


@pytest.mark.parametrize("given", [None, "https://mine.example/"])
def test_of_the_music_platform(given: str | None) -> None:
    gateway = Gateway(base_url="http://platform.invalid", platform_keys=PlatformKeys("id", "key"))
    service = MediaxService(gateway, Repository(content_id="repository", bucket="music-1"))
    asked = CapabilityRequest(capability=MusicTag(), input=MediaxInput(path="a.mp3"), callback=given)
    prepared = service.prepare(asked)
    called = service.called_back(prepared, OURS)
    assert called.body["callback"] == (given or OURS)
    assert called.identity == prepared.identity
