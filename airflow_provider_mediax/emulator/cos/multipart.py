"""Uploads in parts, as the SDK's ``upload_file`` and ``copy`` use them."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement

from aiohttp import web

from airflow_provider_mediax.emulator.cos.answers import (
    fill,
    is_encoded,
    iso_time,
    key_text,
    number,
    page_size,
    read_xml,
    xml_answer,
)
from airflow_provider_mediax.emulator.cos.errors import CosError
from airflow_provider_mediax.emulator.shared.objects import Bucket, StoredObject, Upload

SMALLEST_PART = 1024 * 1024
"""Bytes of every part but the last."""

_LAST_NUMBER = 10_000


def upload_named(bucket: Bucket, key: str, query: Mapping[str, str]) -> Upload:
    """
    Return the upload that a request names.

    :raises CosError: there is none for that key.
    """
    upload = bucket.uploads.get(query.get("uploadId", ""))
    if upload is None or upload.key != key:
        raise CosError("NoSuchUpload", "The specified multipart upload does not exist.")
    return upload


def initiated(bucket: Bucket, upload: Upload) -> web.Response:
    """Return the answer to the start of an upload."""
    root = Element("InitiateMultipartUploadResult")
    fill(root, {"Bucket": bucket.name, "Key": upload.key, "UploadId": upload.id})
    return xml_answer(root)


def store_part(bucket: Bucket, upload: Upload, query: Mapping[str, str], data: bytes, now: float) -> StoredObject:
    """
    Keep a part, replacing an older one with its number.

    :raises CosError: the number is none that a part can have.
    """
    place = number(query, "partNumber", 0)
    if not 1 <= place <= _LAST_NUMBER:
        raise CosError("InvalidArgument", f"partNumber must be from 1 to {_LAST_NUMBER}")
    part = StoredObject.of(data, now)
    bucket.put_part(upload, place, part)
    return part


def complete(bucket: Bucket, upload: Upload, body: bytes, now: float) -> web.Response:
    """
    Make the object out of the parts that the body names.

    :raises CosError: a part is not there or too small, or they are not in their order.
    """
    named = [_part_named(each) for each in read_xml(body, "CompleteMultipartUpload")]
    places = [place for place, _ in named]
    if not named:
        raise CosError("MalformedXML", "The XML you provided was not well-formed.")
    if places != sorted(set(places)):
        raise CosError("InvalidPartOrder", "The list of parts was not in ascending order.")
    parts = []
    for place, etag in named:
        part = upload.parts.get(place)
        if part is None or part.etag.strip('"') != etag.strip('"'):
            raise CosError("InvalidPart", "One or more of the specified parts could not be found.")
        parts.append(part)
    if any(len(part.data) < SMALLEST_PART for part in parts[:-1]):
        raise CosError("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed object size.")
    stored = bucket.put_parts(upload, parts, now)
    root = Element("CompleteMultipartUploadResult")
    location = f"{bucket.name}.cos.{bucket.region}.myqcloud.com/{key_text(upload.key, encoded=True)}"
    fill(root, {"Location": location, "Bucket": bucket.name, "Key": upload.key, "ETag": stored.etag})
    return xml_answer(root)


def _part_named(element: Element) -> tuple[int, str]:
    place = element.findtext("PartNumber") or ""
    if element.tag != "Part" or not (place.isascii() and place.isdecimal() and len(place) < 10):
        raise CosError("MalformedXML", "The XML you provided was not well-formed.")
    return int(place), element.findtext("ETag") or ""


def list_parts(bucket: Bucket, upload: Upload, query: Mapping[str, str]) -> web.Response:
    """Return one page of the parts of an upload."""
    limit, after, encoded = page_size(query, "max-parts"), number(query, "part-number-marker", 0), is_encoded(query)
    places = [place for place in sorted(upload.parts) if place > after]
    shown = places[:limit]
    root = Element("ListPartsResult")
    fill(root, {"Bucket": bucket.name, "Key": key_text(upload.key, encoded), "UploadId": upload.id})
    fill(root, {"PartNumberMarker": str(after), "MaxParts": str(limit)})
    if len(places) > len(shown):
        fill(root, {"NextPartNumberMarker": str(shown[-1]) if shown else str(after)})
    fill(root, {"IsTruncated": "true" if len(places) > len(shown) else "false"})
    for place in shown:
        part = upload.parts[place]
        entry = {"PartNumber": str(place), "ETag": part.etag, "Size": str(len(part.data))}
        fill(SubElement(root, "Part"), {**entry, "LastModified": iso_time(part.modified)})
    return xml_answer(root)


def list_uploads(bucket: Bucket, query: Mapping[str, str]) -> web.Response:
    """Return one page of the unfinished uploads, by key, those of one key from the oldest to the newest."""
    if query.get("delimiter"):
        raise CosError("NotImplemented", "The emulator lists uploads without a delimiter only.")
    limit, encoded, prefix = page_size(query, "max-uploads"), is_encoded(query), query.get("prefix", "")
    key_marker, id_marker = query.get("key-marker", ""), query.get("upload-id-marker", "")
    mine = sorted(bucket.uploads.values(), key=lambda upload: upload.key.encode())
    wanted = [upload for upload in mine if upload.key.startswith(prefix)]
    ids = [upload.id for upload in wanted]
    if id_marker in ids:
        wanted = wanted[ids.index(id_marker) + 1 :]
    elif key_marker:
        wanted = [upload for upload in wanted if upload.key.encode() > key_marker.encode()]
    shown = wanted[:limit]
    root = Element("ListMultipartUploadsResult")
    fill(root, {"Bucket": bucket.name, "Prefix": key_text(prefix, encoded), "MaxUploads": str(limit)})
    fill(root, {"KeyMarker": key_text(key_marker, encoded), "UploadIdMarker": id_marker})
    if shown and len(wanted) > len(shown):
        fill(root, {"NextKeyMarker": key_text(shown[-1].key, encoded), "NextUploadIdMarker": shown[-1].id})
    fill(root, {"IsTruncated": "true" if len(wanted) > len(shown) else "false"})
    for upload in shown:
        entry = {"Key": key_text(upload.key, encoded), "UploadId": upload.id, "StorageClass": "STANDARD"}
        fill(SubElement(root, "Upload"), {**entry, "Initiated": iso_time(upload.initiated)})
    return xml_answer(root)
