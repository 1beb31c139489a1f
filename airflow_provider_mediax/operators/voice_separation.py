"""Separates a track into stems with Cloud Infinite (CI API reference section 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_mediax.arguments import as_address, as_object, as_optional_int, as_text, is_absent
from airflow_provider_mediax.operators.base import JobOperator, shown_name
from airflow_provider_mediax.protocol.names import check, check_choice, exactly_one, refused

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_mediax.hooks.cloud_infinite import CloudInfiniteHook
    from airflow_provider_mediax.protocol.ci.requests import VoiceSeparationRequest
    from airflow_provider_mediax.protocol.urls import CosAddress

_FIELDS = (
    *("source", "mode", "codec", "sample_rate", "bitrate", "channels", "template_id", "outputs", "destination"),
    *("bucket", "region", "output_bucket", "output_region", "queue_id", "job_level", "user_data"),
    *("callback", "callback_format", "callback_type", "callback_mq"),
)


class VoiceSeparationOperator(JobOperator["CloudInfiniteHook"]):
    """
    Separates voice, background, bass and drums.

    :param source: key of the track, or ``cos://[conn_id@]bucket/key``, also as an ``ObjectStoragePath``; its bucket
        wins over ``bucket``, ``conn_id`` can only be ``mediax_conn_id``.
    :param mode: ``IsAudio`` (voice), ``IsBackground``, ``AudioAndBackground`` or ``MusicMode`` (all four stems).
    :param codec: aac, mp3, flac, amr or wav; in ``MusicMode`` mp3, wav or aac.
    :param sample_rate: Hz.
    :param bitrate: kbit/s, 8 to 1000.
    :param channels: a number that the codec takes.
    :param template_id: a template that holds mode and encoding; exactly one of ``mode`` and ``template_id``.
    :param outputs: key of each stem by its role: voice, background, bass, drum.
    :param destination: key prefix; the stems go to ``<destination>/<source without extension>/<role>.<codec>``, so
        that two tracks of one name in two folders never overwrite each other. Exactly one of ``outputs`` and
        ``destination``.
    :param bucket: bucket of the track; default: the connection's.
    :param region: region of the bucket; default: the connection's.
    :param output_bucket: bucket of the stems; default: that of the track.
    :param output_region: region of ``output_bucket``; default: that of the track.
    :param queue_id: smart-audio queue; sent only if given.
    :param job_level: 0, 1 or 2; larger goes first.
    :param user_data: printable ASCII, sent after the marker and a space, together at most 1024 characters.
    :param callback: address that the service posts the finished job to.
    :param callback_format: ``XML`` or ``JSON``.
    :param callback_type: ``Url`` or ``TDMQ``.
    :param callback_mq: MqRegion, MqMode and MqName, with ``TDMQ``.
    """

    template_fields: Sequence[str] = (*JobOperator.template_fields, *_FIELDS)

    def __init__(
        self,
        *,
        source: str | ObjectStoragePath,
        mode: str | None = None,
        codec: str = "mp3",
        sample_rate: int | None = None,
        bitrate: int | None = None,
        channels: int | None = None,
        template_id: str | None = None,
        outputs: dict[Literal["voice", "background", "bass", "drum"], str] | None = None,
        destination: str | None = None,
        bucket: str | None = None,
        region: str | None = None,
        output_bucket: str | None = None,
        output_region: str | None = None,
        queue_id: str | None = None,
        job_level: int | None = None,
        user_data: str | None = None,
        callback: str | None = None,
        callback_format: Literal["XML", "JSON"] | None = None,
        callback_type: str | None = None,
        callback_mq: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.mode = mode
        self.codec = codec
        self.sample_rate = sample_rate
        self.bitrate = bitrate
        self.channels = channels
        self.template_id = template_id
        self.outputs = outputs
        self.destination = destination
        self.bucket = bucket
        self.region = region
        self.output_bucket = output_bucket
        self.output_region = output_region
        self.queue_id = queue_id
        self.job_level = job_level
        self.user_data = user_data
        self.callback = callback
        self.callback_format = callback_format
        self.callback_type = callback_type
        self.callback_mq = callback_mq

    @property
    def input_name(self) -> str | None:
        """The rendered ``source``."""
        return None if is_absent(self.source) else shown_name(self.source)

    def build_request(self) -> VoiceSeparationRequest:
        """Return the request, with the stems of ``mode`` if only a destination is given."""
        return self._request(as_text("mode", self.mode), as_text("codec", self.codec) or "mp3")

    def prepare_request(self, hook: CloudInfiniteHook) -> VoiceSeparationRequest:
        """Return the request; a template is read once to learn which stems it makes, if it must name them."""
        template_id = as_text("template_id", self.template_id)
        if template_id is None or is_absent(self.destination) or not is_absent(self.mode):
            return self.build_request()
        template = hook.template(template_id)
        return self._request(template.mode, template.audio.get("Codec") or "mp3")

    def make_hook(self) -> CloudInfiniteHook:
        """Return the hook of the track's bucket."""
        from airflow_provider_mediax.hooks.cloud_infinite import CloudInfiniteHook

        bucket = self._address().bucket or None
        region = as_text("region", self.region)
        if region is not None:
            check("region", region)
        return CloudInfiniteHook(self.mediax_conn_id, bucket=bucket, region=region, stop=self._stop)

    def _request(self, mode: str | None, codec: str) -> VoiceSeparationRequest:
        from airflow_provider_mediax.protocol.ci.requests import AudioConfig, VoiceSeparationRequest

        template_id = as_text("template_id", self.template_id)
        numbers = {name: as_optional_int(name, getattr(self, name)) for name in ("sample_rate", "bitrate", "channels")}
        if template_id is not None and (given := [name for name, value in numbers.items() if value is not None]):
            raise refused(given[0], numbers[given[0]], "the template holds the encoding, so leave it out.")
        own_mode = as_text("mode", self.mode)
        return VoiceSeparationRequest(
            source=self._address().key,
            bucket=self._address().bucket or None,
            outputs=self._outputs(mode, codec),
            mode=own_mode,
            template_id=template_id,
            audio=AudioConfig(codec=codec, **numbers) if own_mode is not None and template_id is None else None,
            output_bucket=as_text("output_bucket", self.output_bucket),
            output_region=as_text("output_region", self.output_region),
            queue_id=as_text("queue_id", self.queue_id),
            job_level=as_optional_int("job_level", self.job_level),
            user_data=as_text("user_data", self.user_data),
            callback=as_text("callback", self.callback),
            callback_format=as_text("callback_format", self.callback_format),
            callback_type=as_text("callback_type", self.callback_type),
            callback_mq=None if is_absent(self.callback_mq) else as_object("callback_mq", self.callback_mq),
        )

    def _outputs(self, mode: str | None, codec: str) -> Mapping[str, str]:
        """Return the key of each stem: as given, or derived from the source's own."""
        from airflow_provider_mediax.protocol.ci.requests import MODES

        named = {name: not is_absent(getattr(self, name)) for name in ("outputs", "destination")}
        if exactly_one(named) == "outputs":
            return as_object("outputs", self.outputs)
        check_choice("mode", mode, tuple(MODES))
        destination = as_text("destination", self.destination) or ""
        check("destination", destination)
        folder = destination.strip("/")
        name, dot, extension = self._address().key.rpartition(".")
        stem = name if dot and name and "/" not in extension else self._address().key
        return {role: f"{folder}/{stem}/{role}.{codec}".lstrip("/") for role in MODES[mode or ""]}

    def _address(self) -> CosAddress:
        """Return bucket (empty for the connection's) and key of the track."""
        from airflow_provider_mediax.protocol.urls import CosAddress, cos_address

        source = as_address("source", self.source, self.mediax_conn_id) or ""
        if address := cos_address(source):
            return address
        bucket = as_text("bucket", self.bucket)
        if bucket is not None:
            check("bucket", bucket)
        return CosAddress(bucket or "", source.removeprefix("/"))
