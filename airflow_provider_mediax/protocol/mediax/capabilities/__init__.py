"""
One class for each capability of MediaX, and the registry of them (API reference section 9).

To add one, write it in one of the two files, and nothing else. A request checks what the reference states, so that a
bad one is refused before it costs money; values of tables that the reference has not seen pass as they are.
"""

from __future__ import annotations

from airflow_provider_mediax.protocol.mediax.capabilities import listening, making
from airflow_provider_mediax.protocol.mediax.capabilities.base import CAPABILITIES, TRACK_INPUTS, Capability

__all__ = ["CAPABILITIES", "TRACK_INPUTS", "Capability", "listening", "making"]
