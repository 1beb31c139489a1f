"""What a finished job has found, and its flat rows: the same for every service."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_mediax.protocol.exchange import JsonObject


@dataclass(frozen=True, slots=True)
class ResultView:
    """
    What a job found.

    :param capability: name on the wire; of a job with several outputs, the name of each one joined by commas.
    :param result: the typed view where the schema is known, the raw object where not.
    :param files: full addresses of the files written, as far as their bucket is known.
    :param homeless: names of files whose bucket is not known.
    :param input: address of the input, without anything secret.
    """

    capability: str
    result: JsonObject
    files: list[str]
    homeless: list[str]
    input: str | None
