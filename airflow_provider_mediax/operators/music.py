"""One operator per capability of the music platform (API reference section 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.jobs.arguments import (
    as_float,
    as_int,
    as_object,
    as_objects,
    as_optional_int,
    as_texts,
    is_absent,
)
from airflow_provider_mediax.operators.mediax import FileMediaxOperator, MediaxOperator

if TYPE_CHECKING:
    from airflow_provider_mediax.protocol.capabilities import MusicAsr, MusicBeat, MusicTag
    from airflow_provider_mediax.protocol.request import MediaxRequest


_NOT_WITH_OUTPUTS = ("url", "path", "content_id", "destination", "output_prefix", "cos_bucket", "extra_parameters")


class MediaxJobOperator(FileMediaxOperator):
    """
    Runs any job of the platform: for capabilities and fields that have no operator of their own.

    Give ``descriptor`` with the inputs of :class:`MediaxOperator`, or ``inputs`` and ``outputs``, which are sent as
    they are.

    :param descriptor: ``{"<capability>": <parameters>}`` (section 5.1, ``smartContentDescriptor``). The job writes
        files if ``destination`` is given.
    :param inputs: Input objects of section 5.1.
    :param outputs: Output objects of section 5.1.
    """

    template_fields: Sequence[str] = (*FileMediaxOperator.template_fields, "descriptor", "inputs", "outputs")

    def __init__(
        self,
        *,
        descriptor: dict[str, Any] | None = None,
        inputs: list[dict[str, Any]] | None = None,
        outputs: list[dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.descriptor = descriptor
        self.inputs = inputs
        self.outputs = outputs

    def capability(self) -> Mapping[str, Any]:
        """Return the descriptor as it is."""
        return as_object("descriptor", self.descriptor)

    def build_request(self) -> MediaxRequest:
        """Return the request for the descriptor, or for the arrays."""
        from airflow_provider_mediax.protocol.request import RawRequest

        if is_absent(self.descriptor) == is_absent(self.outputs):
            raise BadRequest.field("descriptor, outputs", "both or neither", "give exactly one of them.")
        if is_absent(self.outputs):
            return super().build_request()
        if given := [name for name in _NOT_WITH_OUTPUTS if not is_absent(getattr(self, name))]:
            raise BadRequest.field(given[0], "given", "inputs and outputs are sent as they are, so it has no place.")
        return RawRequest(
            inputs=as_objects("inputs", self.inputs or []),
            outputs=as_objects("outputs", self.outputs),
            **self._options(),
        )


class MusicTagOperator(MediaxOperator):
    """
    Tags of a track (section 9.6). Takes the arguments of :class:`MediaxOperator`, and:

    :param tag_types: ``all``, or some of vocal, language, mood, genre, scene, bgm, intensity.
    """

    template_fields: Sequence[str] = (*MediaxOperator.template_fields, "tag_types")

    def __init__(self, *, tag_types: str | Sequence[str] = "all", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tag_types = tag_types

    def capability(self) -> MusicTag:
        """Return the tags asked for."""
        from airflow_provider_mediax.protocol.capabilities import MusicTag

        return MusicTag(tag_types=as_texts("tag_types", self.tag_types))


class MusicAsrOperator(MediaxOperator):
    """
    Sung lyrics with times (section 9.4). Takes the arguments of :class:`MediaxOperator`, and:

    :param confidence: 0 to 1; only lines above it are returned.
    """

    template_fields: Sequence[str] = (*MediaxOperator.template_fields, "confidence")

    def __init__(self, *, confidence: float = 0.2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.confidence = confidence

    def capability(self) -> MusicAsr:
        """Return the confidence asked for."""
        from airflow_provider_mediax.protocol.capabilities import MusicAsr

        return MusicAsr(confidence=as_float("confidence", self.confidence))


class MusicBeatOperator(FileMediaxOperator):
    """
    Drum beats of a track, as files (section 9.1). Takes the arguments of :class:`FileMediaxOperator`, and:

    :param output_type: which outputs to produce; the table of values was not seen.
    :param drum_type: drum sound of the marked music; the table of values was not seen.
    :param enlarge_level: loudness step of the marks, 1 to 6.
    :param split_num: meaning not seen; the access guide sends 3. None leaves it out.
    """

    template_fields: Sequence[str] = (
        *FileMediaxOperator.template_fields,
        *("output_type", "drum_type", "enlarge_level", "split_num"),
    )

    def __init__(
        self,
        *,
        output_type: int = 4,
        drum_type: int = 2,
        enlarge_level: int = 3,
        split_num: int | None = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_type = output_type
        self.drum_type = drum_type
        self.enlarge_level = enlarge_level
        self.split_num = split_num

    def capability(self) -> MusicBeat:
        """Return the marks asked for."""
        from airflow_provider_mediax.protocol.capabilities import MusicBeat

        return MusicBeat(
            output_type=as_int("output_type", self.output_type),
            drum_type=as_int("drum_type", self.drum_type),
            enlarge_level=as_int("enlarge_level", self.enlarge_level),
            split_num=as_optional_int("split_num", self.split_num),
        )
