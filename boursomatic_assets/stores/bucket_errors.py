"""Errors of a bucket, each as one sentence of our own.

What a service answers may hold anything, so none of it is shown but its code.

What belongs here: what an error of obstore means. Kept elsewhere: asking (`bucket_store.py`).
"""

import re

from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

from boursomatic_assets.stores.store import AwayError, StoreError

CREDENTIALS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"

METADATA = re.compile(r"http://169\.254\.|Missing \w*(Key|Token)|credential", re.IGNORECASE)
ELSEWHERE = re.compile(r"https?://(?!169\.254\.)\S+")
"""What an error says that was met while credentials were looked for: the environment has none. An address of the
service itself says nothing: a bucket may have any name."""

AWAY = ("RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "Throttling")
"""Codes of what another attempt may cure, beside any status from 500 on."""


def explain(error: BaseException, address: str) -> StoreError:
    """An error of obstore about a store at an address, as ours."""
    said = str(error).partition("Debug source:")[0]
    status, code = _first(r"status code: (\d{3})", said), _first(r"<Code>(\w{1,64})</Code>", said)
    if code == "NoSuchBucket":
        return StoreError(f"{address}: there is no such bucket: create it, or correct the address")
    if METADATA.search(ELSEWHERE.sub("", said)) and code is None:
        return StoreError(f"{address}: there are no credentials: set {CREDENTIALS}")
    if code == "RequestTimeTooSkewed":
        return StoreError(f"{address} refuses requests by this machine's clock: set the clock")
    if status in ("401", "403") or isinstance(error, (PermissionDeniedError, UnauthenticatedError)):
        return StoreError(
            f"{address} refuses these credentials ({code or status or 'no reason'}): correct {CREDENTIALS}, or let"
            " them read and write there"
        )
    if "builder error" in said:
        return StoreError(
            f"{address}: AWS_ENDPOINT_URL cannot be used: correct it; one that begins with http:// needs"
            " AWS_ALLOW_HTTP=true"
        )
    if status is None or status >= "500" or status == "429" or code in AWAY:
        reason = f"status {status}" if status else "no connection, or none in time"
        return AwayError(f"{address} does not answer ({reason}): start it, or correct AWS_ENDPOINT_URL")
    return StoreError(f"{address} does not understand a request (status {status}, {code or 'no code'})")


def _first(pattern: str, text: str) -> str | None:
    found = re.search(pattern, text)
    return found[1] if found else None
