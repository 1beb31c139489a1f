"""
What a text may be: one set of rules of characters, and one table of what each field allows.

The requests of both services and the operators ask here, so a text that one field refuses is refused by its siblings.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlsplit

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.protocol.urls import CosAddress, cos_address, shown_text, shown_url, split_cos_address

KEY_LIMIT = 850
"""Bytes of an object's key, as UTF-8."""

PREFIX_LIMIT = 20
"""MediaX: ``outputPrefix`` must be shorter than this."""

MOST_SECONDS = 10 * 365 * 86400
"""Ten years: what is longer is a mistake, and later than the dates that Airflow can store."""

MOST_WHOLE = 2**31 - 1
"""The largest whole number that both services surely read."""

ACCIDENTS = frozenset(("[]", "{}", "None", "nan"))
"""What a template makes of a value that is missing. As a *whole* text it is never a name that somebody chose."""

MAX_JSON_DEPTH = 50
"""Deepest nesting of a JSON value that a user gives."""

MAX_JSON_VALUES = 100_000
"""How many members and items such a value may have."""

MOST_SHOWN = 2000
"""Characters of a text that an error may repeat; it cuts what it repeats by itself."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_HALF_CHARACTER = re.compile(r"[\ud800-\udfff]")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{0,60}-[0-9]+")
_CONN_ID = re.compile(r"[\w.-]+")
_MEMBER = re.compile(r"[\w-]{1,40}")

Broken = str | None
"""The rule that a text breaks; None if it breaks none."""


class Allowed(NamedTuple):
    """
    What a field allows.

    :param shape: returns the rule that a text breaks, which has passed the rules of characters already.
    :param lines: whether line breaks, tabs and white space at the ends may be there.
    :param most: bytes as UTF-8.
    """

    shape: Callable[[str], Broken] = lambda _: None
    lines: bool = False
    most: int | None = None


def _folder(text: str) -> Broken:
    if _SCHEME.match(text):
        return "it must be a name inside the bucket, not an address."
    if text.startswith("\\"):
        return "it must not begin with a backslash."
    if {".", ".."} & set(text.split("/")):
        return "no part between two slashes may be . or .., because they are not resolved."
    return None


def _path(text: str) -> Broken:
    return _folder(text) or ("it must name a file, without a slash at the end." if text.endswith("/") else None)


def _key(text: str) -> Broken:
    return _path(text) or ("it must be an object's key, without a slash in front." if text[0] == "/" else None)


def _output(text: str) -> Broken:
    unknown = [name for name in re.findall(r"\$\{([^}]*)\}?", text) if name not in ("ext", "jobid")]
    return "only ${ext} and ${jobid} are known for this job." if unknown else _key(text)


def _prefix(text: str) -> Broken:
    if "/" in text or "\\" in text:
        return "it is the beginning of a file's name, so it holds no slash."
    return None if len(text) < PREFIX_LIMIT else f"it must be shorter than {PREFIX_LIMIT} characters."


def _like(pattern: str, rule: str) -> Callable[[str], Broken]:
    fits = re.compile(pattern)
    return lambda text: None if fits.fullmatch(text) else rule


def _web_address(text: str) -> Broken:
    rule = "it must be an http:// or https:// address."
    try:
        parts = urlsplit(text)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    return None if is_one else rule


def _endpoint(text: str) -> Broken:
    rule = "it must read scheme://host:port."
    try:
        parts = urlsplit(text)
        bare = parts.path in ("", "/") and not (parts.query or parts.fragment or "@" in parts.netloc)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and bare and parts.port != 0
    except ValueError:  # no such port
        is_one = False
    return None if is_one else rule


def _service_path(text: str) -> Broken:
    is_one = text.startswith("/") and not re.search(r"[\s?#\\]|//", text)
    return None if is_one else "it must begin with a slash, and have no query and no fragment."


def _callback(text: str) -> Broken:
    return "it must be an address without spaces." if " " in text else _web_address(text)


def _callback_or_no(text: str) -> Broken:
    return None if text == "no" or _callback(text) is None else "it must be an http:// or https:// address, or 'no'."


def _input_address(text: str) -> Broken:
    if not text.lower().startswith("cos://"):
        return _web_address(text) and "it must begin with http://, https:// or cos:// and name a host."
    address = cos_address(text)
    if address is None:
        return "it must read cos://bucket/key."
    if not _BUCKET.fullmatch(address.bucket):
        return "its bucket must read like music-1250000000, the APPID included."
    return _key(address.key) or _too_long(address.key, KEY_LIMIT)


def _cos_folder(text: str) -> Broken:
    parts = split_cos_address(text)
    if parts is None or parts[0] is not None:
        return "it must read cos://bucket/folder/."
    address = parts[1]
    if not _BUCKET.fullmatch(address.bucket):
        return "its bucket must read like music-1250000000, the APPID included."
    return _key(address.key.rstrip("/")) if address.key.strip("/") else "it must read cos://bucket/folder/."


_WORD = Allowed()
_KEY = Allowed(_key, most=KEY_LIMIT)
_BUCKETS = Allowed(_like(_BUCKET.pattern, "it must read like music-1250000000, the APPID included."))
_REGION = Allowed(_like(r"[a-z][a-z0-9]+(-[a-z0-9]+)*", "it must read like ap-guangzhou."))
_ID = Allowed(_like(r"[A-Za-z0-9_-]{1,128}", "it must consist of letters, digits, - and _."))

FIELDS: Mapping[str, Allowed] = MappingProxyType(
    {
        # MediaX
        "url": Allowed(_input_address),
        "path": Allowed(_path, most=KEY_LIMIT),
        "source_data": Allowed(lines=True),
        "content_id": _WORD,
        "destination": Allowed(_folder, most=KEY_LIMIT),
        "output_prefix": Allowed(_prefix),
        "cos_bucket": _BUCKETS,
        "callback": Allowed(_callback),
        "inputs": Allowed(_web_address),
        "model_name": _WORD,
        "emotion": _WORD,
        # Cloud Infinite
        "source": _KEY,
        "outputs": Allowed(_output, most=KEY_LIMIT),
        "input_object": _KEY,
        "bucket": _BUCKETS,
        "output_bucket": _BUCKETS,
        "region": _REGION,
        "output_region": _REGION,
        "cos_region": _REGION,
        "cos_endpoint": Allowed(_endpoint),
        # of the connection alone
        "job_path": Allowed(_service_path),
        "register_path": Allowed(_service_path),
        "namespace": _WORD,
        "gateway_source": _WORD,
        "claims": Allowed(_cos_folder, most=KEY_LIMIT - 100),
        "mailbox": Allowed(_cos_folder, most=KEY_LIMIT - 100),
        "template_id": _ID,
        "queue_id": _ID,
        "job_id": _ID,
        "ci_callback": Allowed(_callback_or_no),
        "callback_mq": _WORD,
    }
)
"""What each field allows besides the rules of characters; ``outputs.voice`` is looked up as ``outputs``."""


def check(name: str, value: object, field: str | None = None) -> None:
    """
    Refuse a text that its field does not allow.

    :param name: the argument's name, for the error.
    :param field: which line of :data:`FIELDS` holds, if the name's own does not.
    :raises BadRequest: names the argument, its value and the rule.
    """
    if rule := broken(field or name, value):
        raise refused(name, value, rule)


def broken(field: str, value: object) -> Broken:
    """Return the rule that a value breaks in a field, None if it breaks none."""
    allowed = FIELDS[field.partition(".")[0]]
    if not isinstance(value, str):
        return "it must be text."
    return (
        accident(value)
        or _characters(value, allowed)
        or (_too_long(value, allowed.most) if allowed.most else None)
        or allowed.shape(value)
    )


def accident(text: str) -> Broken:
    """Return the rule that a text breaks which nobody chose: nothing, or what a template makes of nothing."""
    if not text.strip():
        return "it must not be empty."
    if text.strip() in ACCIDENTS:
        return "this is what a template makes of a value that is missing."
    return "it holds half a character." if _HALF_CHARACTER.search(text) else None


def own_address(name: str, text: str, conn_id: str | None) -> CosAddress | None:
    """
    Return the object that ``cos://[conn_id@]bucket/key`` is about; None if the text is no such address.

    An address has the id of a connection if an ``ObjectStoragePath`` was written out. Keys of that connection are
    not looked up: the address serves where it is the connection that is used anyway.

    :param conn_id: the connection that is used; None if that is not known.
    :raises BadRequest: there is no bucket with its number or no key, or the address names another connection.
    """
    if not text.startswith("cos://"):
        return None
    parts = split_cos_address(text)
    if parts is None:
        raise refused(name, text, "it must read cos://bucket/key.")
    named, address = parts
    if not _BUCKET.fullmatch(address.bucket):
        raise refused(name, text, "its bucket must read like music-1250000000, the APPID included.")
    if named is not None and named != conn_id:
        shown_id = named if _CONN_ID.fullmatch(named) else "(hidden)"
        used = f"the connection used here is {conn_id}" if conn_id else "no connection is known here"
        raise refused(name, text, f"it names the connection {shown_id}, and {used}.")
    return address


def object_key(key: str) -> str:
    """
    Return an object's key as COS stores it, without the slash that paths of the platform begin with.

    Any key is taken that can be sent: users' objects bear names which :data:`FIELDS` would refuse for a new file.

    :raises BadRequest: such a key would address the bucket or another object, or is too long.
    """
    name = key.lstrip("/")
    # Of a dot at the end the HTTP library would make the folder above; inside a key the SDK protects it.
    if not name or name.rpartition("/")[2] in (".", ".."):
        raise refused("key", key, "it must name an object.")
    if _HALF_CHARACTER.search(name):
        raise refused("key", key, "it holds half a character.")
    if rule := _too_long(name, KEY_LIMIT):
        raise refused("key", key, rule)
    return name


def check_json(name: str, value: object) -> None:
    """
    Refuse what could not be sent as JSON and read back as the same: an object's keys must be text, numbers finite.

    :raises BadRequest: names the place, the value and the rule.
    """
    left: list[tuple[str, object, int]] = [(name, value, 0)]
    count = 0
    while left:
        where, inner, depth = left.pop()
        count += 1
        if depth > MAX_JSON_DEPTH or count > MAX_JSON_VALUES:
            raise refused(name, type(value).__name__, "it is nested too deep or holds too much.")
        if isinstance(inner, dict) or (depth == 0 and isinstance(inner, Mapping)):
            for key, item in inner.items():
                if not isinstance(key, str):
                    raise refused(where, key, "the keys of an object must be text.")
                if _HALF_CHARACTER.search(key):
                    raise refused(where, key, "a key holds half a character.")
                left.append((f"{where}.{key}" if _MEMBER.fullmatch(key) and depth < 4 else where, item, depth + 1))
        elif isinstance(inner, (list, tuple)):
            left += [(where, item, depth + 1) for item in inner]
        elif rule := _broken_scalar(inner):
            raise refused(where, inner, rule)


def check_choice(name: str, value: object, choices: Collection[str], where: str = "") -> None:
    """Refuse what is not one of a few words, and suggest the one that was probably meant."""
    if not isinstance(value, str) or value not in choices:
        rule = f"it must be one of {', '.join(choices)}{where}."
        raise refused(name, value, rule + suggestion(value, choices))


def check_seconds(name: str, value: object) -> None:
    """Refuse what is no positive whole number of seconds, at most ten years."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MOST_SECONDS:
        raise refused(name, value, "it must be a positive number of seconds, a whole one, at most ten years.")


def exactly_one(given: Mapping[str, object]) -> str:
    """
    Return which one of several fields was given.

    :param given: each field's name and its value; what counts as false was not given.
    :raises BadRequest: none, or several.
    """
    names = [name for name, value in given.items() if value]
    if len(names) != 1:
        *most, last = given
        asked = f"exactly one of {', '.join(most)} and {last}" if most else last
        raise BadRequest(f"Give {asked}; got {' and '.join(names) or 'none'}", advice="")
    return names[0]


def suggestion(value: object, choices: Collection[str]) -> str:
    """Return " Did you mean ...?" for a word that is like one of the choices, else nothing."""
    if not isinstance(value, str) or len(value) > 40:
        return ""
    from difflib import get_close_matches  # here: every DAG file imports this module, and few have a misspelt word

    lower = {choice.lower(): choice for choice in choices}
    near = get_close_matches(value.strip().lower(), lower, n=1)
    return f" Did you mean {lower[near[0]]}?" if near else ""


def refused(name: str, value: object, rule: str) -> BadRequest:
    """Describe a refused argument; of an address in it, user, password and query are hidden."""
    is_address = name.rpartition(".")[2] in ("url", "callback", "cos_endpoint") and isinstance(value, str)
    return BadRequest.field(name, shown_url(str(value)) if is_address else shown(value), rule)


def shown(value: object, depth: int = 3) -> object:
    """Return a value that may be shown, and whose ``repr`` is harmless and ends soon."""
    if isinstance(value, str):
        if len(value) > MOST_SHOWN:
            return f"a text of {len(value)} characters"
        return shown_url(value) if _SCHEME.match(value) else shown_text(value)
    if value is None or isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < 10**30):
        return value
    if isinstance(value, int):
        return "a number with more than 30 digits"
    if depth > 0 and isinstance(value, dict):
        return {str(shown(key, 0)): shown(item, depth - 1) for key, item in list(value.items())[:20]}
    if depth > 0 and isinstance(value, (list, tuple)):
        return [shown(item, depth - 1) for item in value[:20]]
    return type(value).__name__


def _characters(text: str, allowed: Allowed) -> Broken:
    if (_CONTROL_BUT_LINES if allowed.lines else _CONTROL).search(text):
        return "it holds a control character."
    if not allowed.lines and text != text.strip():
        return "it begins or ends with white space."
    return None


def _too_long(text: str, most: int) -> Broken:
    return f"it must have at most {most} bytes." if len(text.encode()) > most else None


def _broken_scalar(value: object) -> Broken:
    if isinstance(value, str):
        return "it holds half a character." if _HALF_CHARACTER.search(value) else None
    if isinstance(value, float):
        return None if math.isfinite(value) else "numbers must be finite."
    if isinstance(value, int):
        return None if -(2**63) <= value < 2**63 else "whole numbers must fit into 64 bits."
    return None if value is None else "it must be JSON: objects, lists, text, numbers, true, false or null."
