"""One class for each capability; to add one, write it in one of the two files, and nothing else."""

from __future__ import annotations

from airflow_provider_mediax.emulator.mediax.capabilities import listening, making
from airflow_provider_mediax.emulator.mediax.capabilities.base import ANSWERS

__all__ = ["ANSWERS", "listening", "making"]
