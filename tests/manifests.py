"""Manifests of jobs that have succeeded."""

from __future__ import annotations

from typing import Any

from airflow_provider_mediax.results import Manifest, Owner


def owner(run: str = "r1", task: str = "tags", index: int = -1) -> Owner:
    return {"dag_id": "night", "run_id": run, "task_id": task, "map_index": index}


def manifest(
    capability: str,
    result: dict[str, Any],
    *,
    job: str = "job-1",
    of: Owner | None = None,
    track: str | None = "cos://music-1250000000/in/a.mp3",
    state: str = "COMPLETED",
    service: str = "mediax",
) -> Manifest:
    """Return a manifest as an operator returns it."""
    return {
        "schema": 1,
        "service": service,
        "capability": capability,
        "job_id": job,
        "marker": "mx1-" + "0" * 40,
        "state": state,
        "reattached": False,
        "owner": of,
        "input": track,
        "created_at": None,
        "started_at": None,
        "completed_at": None,
        "place": {"content_id": None, "bucket": None, "region": None},
        "result": result,
        "files": [],
    }


def tags(labels: dict[str, str], **facts: Any) -> Manifest:
    """Return the manifest of a tagging: a label for each dimension."""
    found = {dimension: {"label": label, "prob": 0.5} for dimension, label in labels.items()}
    return manifest("musicTagV2", found, **{"of": owner(), **facts})


def lyrics(lines: list[str], **facts: Any) -> Manifest:
    """Return the manifest of lyrics."""
    found = [
        {"text": text, "start": float(place), "end": place + 1.0, "confidence": 0.8} for place, text in enumerate(lines)
    ]
    return manifest("musicASR", {"lines": found}, **{"of": owner(task="lyrics"), **facts})
