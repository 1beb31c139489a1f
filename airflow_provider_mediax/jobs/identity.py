"""What all tries of one piece of work have in common, and the marker that is made of it."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_mediax.jobs.stored import Owner, digest
from airflow_provider_mediax.protocol.service import MARKER_PREFIX


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """
    What all tries of one piece of work have in common.

    :param namespace: the deployment, so that staging and production on one account stay apart.
    :param generation: ``max_tries``, which moves with every clear and with nothing else.
    :param reuse: ``on_clear="reuse"``: a clear is to find the old job again, so the generation does not count.
    :param key: replaces everything but the namespace: tasks that share it share one job.
    """

    namespace: str | None
    owner: Owner
    generation: int
    reuse: bool = False
    key: str | None = None

    def marker(self, fingerprint: str) -> str:
        """Return the idempotency key that the job carries at the service."""
        if self.key is not None:
            return MARKER_PREFIX + digest(["key", self.namespace, self.key])[:40]
        owner = self.owner
        parts = [self.namespace, owner.dag_id, owner.run_id, owner.task_id, owner.map_index]
        return MARKER_PREFIX + digest([*parts, None if self.reuse else self.generation, fingerprint])[:40]
