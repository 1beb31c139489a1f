"""The service's side of the q-sign signature, which COS and Cloud Infinite share."""

from __future__ import annotations

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Callable, Iterable
from urllib.parse import quote

from airflow_provider_mediax.emulator.shared.accounts import TEMPORARY_SECRET_ID, TEMPORARY_TOKEN, Accounts
from airflow_provider_mediax.emulator.shared.wire import RequestTarget, Undecodable, query_pairs

_NAMES = (
    "q-sign-algorithm",
    "q-ak",
    "q-sign-time",
    "q-key-time",
    "q-header-list",
    "q-url-param-list",
    "q-signature",
)


class SignatureRefusal(Exception):
    """
    The signature is not accepted; HTTP 403 at COS, 401 at Cloud Infinite.

    :param code: COS error code.
    :param message: what COS says about it.
    :param ci_code: the code that Cloud Infinite has for it.
    """

    def __init__(self, code: str, message: str, ci_code: str = "InvalidAuthorization") -> None:
        super().__init__(f"{code}: {message}")
        self.ci_code = ci_code
        self.code = code
        self.message = message


def check_qsign(target: RequestTarget, key_of: Callable[[str], str | None], now: float) -> str:
    """
    Verify the signature in the ``Authorization`` header or else in the query; return the COS key id that signed.

    :param key_of: returns the secret key of a key id, None for an unknown one.
    :param now: epoch seconds.
    :raises SignatureRefusal: with the code and text that COS sends.
    """
    fields = _fields(target)
    key = key_of(fields["q-ak"])
    if key is None:
        raise unknown_key()
    for window in (fields["q-sign-time"], fields["q-key-time"]):
        start, end = _window(window)
        if now < start:
            raise SignatureRefusal(
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.",
                "SignatureExpired",
            )
        if now > end:
            raise SignatureRefusal("AccessDenied", "Request has expired", "SignatureExpired")
    expected = signature(
        target,
        key,
        sign_time=fields["q-sign-time"],
        key_time=fields["q-key-time"],
        header_list=fields["q-header-list"],
        param_list=fields["q-url-param-list"],
    )
    if not hmac.compare_digest(expected.encode(), fields["q-signature"].encode()):
        raise _mismatch()
    return fields["q-ak"]


def signer_of(target: RequestTarget, accounts: Accounts, now: float, token_name: str) -> str:
    """
    Verify the signature of a request, and the token that a temporary key needs; return the key id that signed.

    :param now: epoch seconds.
    :param token_name: of the header or query parameter with the token.
    :raises SignatureRefusal: with the code and text that the service sends.
    """
    cos_id = check_qsign(target, accounts.cos_key, now)
    if cos_id == TEMPORARY_SECRET_ID:
        token = target.headers.get(token_name) or target.query.get(token_name, "")
        if not hmac.compare_digest(token.encode(), TEMPORARY_TOKEN.encode()):
            raise unknown_key()
        if now > accounts.temporary_until:
            raise SignatureRefusal("ExpiredToken", "The provided token has expired.", "SignatureExpired")
    return cos_id


def _mismatch() -> SignatureRefusal:
    message = "The Signature you specified is invalid. Check your Secret Key and signing method."
    return SignatureRefusal("SignatureDoesNotMatch", message)


def unknown_key() -> SignatureRefusal:
    """Return what is raised for a key id that opens nothing, a temporary one without its token included."""
    message = "The Access Key Id you provided does not exist in our records."
    return SignatureRefusal("InvalidAccessKeyId", message, "SecretidNotExist")


def signature(
    target: RequestTarget, key: str, *, sign_time: str, key_time: str, header_list: str, param_list: str
) -> str:
    """
    Compute the signature of a request.

    :param sign_time: ``<start>;<end>`` in epoch seconds, as ``key_time``.
    :param header_list: names of the signed headers, joined by semicolons; ``param_list`` likewise for the query.
    :raises SignatureRefusal: one of them is not there exactly once.
    """
    # The host is signed without its port, whatever the port on the wire.
    headers = {**target.headers, "host": target.host}
    http_string = "\n".join(
        (
            target.method.lower(),
            target.path,
            _signed_part(param_list, query_pairs(target.raw_query)),
            _signed_part(header_list, headers.items()),
            "",
        )
    )
    digest = hashlib.sha1(http_string.encode()).hexdigest()  # noqa: S324 - the algorithm of the service
    return _hmac_hex(_hmac_hex(key, key_time), f"sha1\n{sign_time}\n{digest}\n")


def _signed_part(names: str, values: Iterable[tuple[str, str]]) -> str:
    """
    Return the listed names with their values, as they are signed.

    :raises SignatureRefusal: a listed name is missing, which is not the same as empty, or stands there more than once:
        the operation could take another value than the one that was signed.
    """
    known: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in values:
        known[_encode(name).lower()].append(value)
    listed = sorted(name for name in names.split(";") if name)
    if any(len(known[name]) != 1 for name in listed):
        raise _mismatch()
    return "&".join(f"{name}={_encode(known[name][0])}" for name in listed)


def _encode(text: str) -> str:
    return quote(text, safe="-_.~")


def _hmac_hex(key: str, text: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha1).hexdigest()


def _fields(target: RequestTarget) -> dict[str, str]:
    authorization = target.headers.get("authorization", "")
    found = _read_authorization(authorization) if authorization else target.query
    if "q-signature" not in found:
        raise SignatureRefusal("AccessDenied", "Access Denied.", "MissingAuthorization")
    missing = [name for name in _NAMES if name not in found]
    if missing or found["q-sign-algorithm"] != "sha1":
        raise SignatureRefusal("AccessDenied", f"The signature is malformed: {', '.join(missing) or 'algorithm'}")
    return {name: found[name] for name in _NAMES}


def _read_authorization(authorization: str) -> dict[str, str]:
    try:
        # Only the values of a presigned address are encoded; a plus sign in a header is a plus sign.
        return dict(query_pairs(authorization.replace("+", "%2B")))
    except Undecodable:
        raise SignatureRefusal("AccessDenied", "The signature is malformed: not UTF-8") from None


def _window(text: str) -> tuple[int, int]:
    start, _, end = text.partition(";")
    if not (start.isdecimal() and end.isdecimal()):
        raise SignatureRefusal("AccessDenied", "The signature is malformed: time")
    return int(start), int(end)
