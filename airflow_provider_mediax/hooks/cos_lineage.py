"""Objects that a hook reads and writes, as Airflow's hook lineage collects them for OpenLineage."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseHook


def note_read(hook: BaseHook, address: object) -> None:
    """Note that an object was read; unless something listens, Airflow drops it."""
    if _can_be_asset(address):
        from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

        get_hook_lineage_collector().add_input_asset(context=hook, uri=str(address))


def note_written(hook: BaseHook, address: object) -> None:
    """Note that an object was written."""
    if _can_be_asset(address):
        from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

        get_hook_lineage_collector().add_output_asset(context=hook, uri=str(address))


def _can_be_asset(address: object) -> bool:
    """Tell whether Airflow makes an asset of an address as it stands."""
    return not {"#", "?"} & set(str(address))
