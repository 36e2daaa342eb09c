"""Dagster's webserver behind the rules for requests of `web_requests.py`.

What belongs here: putting the middleware in front of the webserver of this process. It is no patch for speed: it
is in force on every version of Dagster and with `BOURSOMATIC_STOCK_DAGSTER=1`, however the webserver is started.
Kept elsewhere: the rules (`orchestration/web_requests.py`).
"""

import sys
from typing import Any

from boursomatic_assets import settings
from boursomatic_assets.orchestration.web_requests import WebRequests

_MODULE = "dagster_webserver.webserver"


def install() -> bool:
    """Put the rules in front of the webserver, if this process is one; its storage is opened before its pages.

    Returns:
        Whether it is.

    Raises:
        RuntimeError: This version of Dagster has no place for them, so no webserver may start.
    """
    if _MODULE not in sys.modules:
        return False
    from starlette.middleware import Middleware

    served: Any = sys.modules[_MODULE].__dict__.get("DagsterWebserver")
    if not hasattr(served, "build_middleware"):
        raise RuntimeError("this version of dagster-webserver cannot be protected: install a proven one")
    theirs = served.build_middleware
    if getattr(theirs, "is_ours", False):
        return True

    def build_middleware(self: Any) -> list[Middleware]:
        read_only = self._process_context._read_only
        return [Middleware(WebRequests, hosts=settings.web_hosts(), read_only=read_only), *theirs(self)]

    build_middleware.is_ours = True  # type: ignore[attr-defined]
    served.build_middleware = build_middleware
    return True
