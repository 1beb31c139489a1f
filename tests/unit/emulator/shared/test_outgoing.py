"""Where the emulator itself sends requests to, for the inputs of jobs and for callbacks."""

from __future__ import annotations

import asyncio
import ipaddress
from urllib.parse import urlsplit

import pytest

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.emulator.shared.outgoing import LocalNetwork, OpenResolver, is_open
from tests.unit.emulator.ci_helpers import Ci
from tests.unit.emulator.helpers import Platform, Receiver, clicks, wait_for


def message(emulator: MediaxEmulator, job_id: str) -> str:
    return str(next(job["message"] for job in emulator.ledger()["jobs"] if job["id"] == job_id))


def test_an_input_is_not_followed_to_another_address(
    mediax_emulator: MediaxEmulator, platform: Platform, receiver: Receiver
) -> None:
    receiver.files["/track.wav"] = clicks(120, 1)
    receiver.moved["/moved.wav"] = f"{receiver.url}/track.wav"
    job = platform.finish(platform.create(url=f"{receiver.url}/moved.wav"))
    assert (job["state"], message(mediax_emulator, job["id"])) == (4, "the input answered 302")
    assert receiver.asked == ["/moved.wav"]


def test_an_input_comes_from_no_other_address_of_this_machine_than_loopback(
    mediax_emulator: MediaxEmulator, platform: Platform, receiver: Receiver
) -> None:
    """This address leads here as well, but is none that says so."""
    receiver.files["/track.wav"] = clicks(120, 1)
    job = platform.finish(platform.create(url=f"http://0.0.0.0:{urlsplit(receiver.url).port}/track.wav"))
    assert (job["state"], receiver.asked) == (4, [])
    assert "local network" in message(mediax_emulator, job["id"])


def test_an_input_may_come_from_a_server_on_loopback(platform: Platform, receiver: Receiver) -> None:
    receiver.files["/track.wav"] = clicks(120, 1)
    for host in ("127.0.0.1", "localhost"):
        url = f"http://{host}:{urlsplit(receiver.url).port}/track.wav"
        assert platform.finish(platform.create(url=url))["state"] == 3


def test_a_callback_is_not_followed_to_another_address(
    mediax_emulator: MediaxEmulator, platform: Platform, ci: Ci, receiver: Receiver
) -> None:
    receiver.moved["/hook"] = f"{receiver.url}/elsewhere"
    platform.finish(platform.create(callback=f"{receiver.url}/hook"))
    ci.finish(ci.submit(CallBack=f"{receiver.url}/hook"))
    wait_for(lambda: len(mediax_emulator.ledger()["callbacks"]) == 2)
    assert [record["status"] for record in mediax_emulator.ledger()["callbacks"]] == [302, 302]
    assert receiver.asked == ["/hook", "/hook"]


def test_a_callback_does_not_reach_into_the_local_network(
    mediax_emulator: MediaxEmulator, platform: Platform, receiver: Receiver
) -> None:
    platform.finish(platform.create(callback=f"http://0.0.0.0:{urlsplit(receiver.url).port}/hook"))
    wait_for(lambda: mediax_emulator.ledger()["callbacks"])
    (record,) = mediax_emulator.ledger()["callbacks"]
    assert (record["status"], record["error"], receiver.asked) == (None, "LocalNetwork", [])


def test_a_name_is_judged_by_what_it_resolves_to() -> None:
    async def resolve(name: str) -> list[str]:
        resolver = OpenResolver()
        try:
            return [each["host"] for each in await resolver.resolve(name)]
        finally:
            await resolver.close()

    assert asyncio.run(resolve("localhost")) == ["127.0.0.1"]
    with pytest.raises(LocalNetwork):
        asyncio.run(resolve("0"))  # 0.0.0.0, to the resolver of every machine


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "8.8.8.8", "2606:4700::1111", "::ffff:127.0.0.1"])
def test_loopback_and_public_addresses_are_open(address: str) -> None:
    assert is_open(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
        *("::", "fe80::1", "fd00::1", "ff02::1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "2002:0a00:0001::"),
    ],
)
def test_addresses_of_local_networks_are_not(address: str) -> None:
    assert not is_open(ipaddress.ip_address(address))


def test_a_local_network_opens_by_an_option(receiver: Receiver) -> None:
    receiver.files["/track.wav"] = clicks(120, 1)
    with MediaxEmulator.start("--local-network") as emulator:
        emulator.durations("*", 0)
        platform = Platform(emulator.url)
        url = f"http://0.0.0.0:{urlsplit(receiver.url).port}/track.wav"
        assert platform.finish(platform.create(url=url))["state"] == 3
