"""Why a server cannot be reached, in words that do not depend on a library.

What belongs here: the words. Kept elsewhere: sending (`channels.py`), certificates, which may be mended.
"""

import http.client
import smtplib
import socket
import ssl

_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (ConnectionRefusedError, "connection refused"),
    (socket.gaierror, "no such host"),
    (TimeoutError, "timed out"),
    (ssl.SSLError, "no encrypted connection can be made"),
    (ConnectionError, "connection closed"),
    (smtplib.SMTPServerDisconnected, "connection closed"),
    (http.client.HTTPException, "its answer is not understood"),
    (smtplib.SMTPException, "its answer is not understood"),
)
"""Those that are a kind of another come before it."""


def why(error: object) -> str:
    """Say why; nothing of the error's own text is shown but what the system says, as it may hold an address."""
    named = next((words for kind, words in _WORDS if isinstance(error, kind)), "")
    system = error.strerror if isinstance(error, OSError) else None
    return named or (system or "the connection fails").lower()
