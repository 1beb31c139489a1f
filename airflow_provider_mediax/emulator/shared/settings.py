"""What is decided about an emulator when it starts."""

from __future__ import annotations

from dataclasses import dataclass

FEW = 1000
"""How many registered accounts, templates of Cloud Infinite, and voices of one account an emulator keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    Bounds of an emulator, which would otherwise grow for as long as it runs.

    :param max_records: requests, callbacks, cancels, and jobs of each service that are kept; older ones are forgotten.
    :param max_object_mib: MiB of all objects and uploaded parts; what does not fit is refused.
    :param piece: whether a short piece of music lies in the bucket from the start.
    :param local_network: whether inputs and callbacks may go to private addresses; loopback and public ones are open.
    """

    max_records: int = 100_000
    max_object_mib: int = 2048
    local_network: bool = False
    piece: bool = False
