"""Airflow's task state store in memory: what goes in comes out as JSON would bring it back."""

from __future__ import annotations

import json
from typing import Any


class Store:
    """A task state store; a replaced task instance is one whose store swallows what it is given."""

    def __init__(self, *, replaced: bool = False) -> None:
        self.values: dict[str, Any] = {}
        self._replaced = replaced

    def get(self, key: str) -> Any:
        stored = self.values.get(key)
        return None if stored is None else json.loads(stored)

    def set(self, key: str, value: Any) -> None:
        if not self._replaced:
            self.values[key] = json.dumps(value)
