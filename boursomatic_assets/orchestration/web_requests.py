"""Web requests: which of them a webserver answers, so that no foreign page can use the browser of a user.

What belongs here: the ASGI middleware that stands in front of Dagster's webserver, and its rules. It asks nobody
for a password: that is left to a proxy (docs/security.md).
Kept elsewhere: how the webserver gets it (`dagster_patches/webserver.py`), which names are answered
(`BOURSOMATIC_WEB_HOSTS`).

Any page that a browser shows can send requests to 127.0.0.1. Names that are rebound (DNS) are seen in the header
Host, foreign pages in Origin and Sec-Fetch-Site, and links in the method: a GET never changes anything.
"""

import ipaddress
import json
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

GRAPHQL_TYPES = ("application/json", "application/graphql")
"""A form of a foreign page cannot send these without asking first."""

HARMLESS = {"logTelemetry", "setNuxSeen"}
"""The mutations that pages send by themselves, and that change nothing of the platform."""

_NETLOC = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:/@\[\]]+)(:\d{1,5})?")


class RequestRefusedError(Exception):
    """A request that is not answered; the message is one line."""


class WebRequests:
    """Answers 403 and one line to what the rules refuse, and hands everything else on.

    Args:
        app: the webserver.
        hosts: names, with or without a port, by which it is reached beside those of the machine itself.
        read_only: whether nothing may be changed.
    """

    def __init__(self, app: App, hosts: Iterable[str] = (), *, read_only: bool = False) -> None:
        self.app, self.hosts, self.read_only = app, frozenset(hosts), read_only

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        try:
            receive = await self._checked(scope, receive)
        except RequestRefusedError as refused:
            await _refuse(scope, str(refused), send)
        else:
            await self.app(scope, receive, _unframed(send))

    async def _checked(self, scope: Message, receive: Receive) -> Receive:
        require_own_page(scope, self.hosts)
        if scope["type"] == "http":
            require_safe_method(scope)
            if self.read_only and scope["method"] == "POST":
                return await _require_reading(scope, receive)
        return receive


def require_own_page(scope: Message, hosts: frozenset[str]) -> None:
    """Check where a request was sent to, and the page that sent it.

    Raises:
        RequestRefusedError: the host is not one of ours, or the page is another one's.
    """
    host = _one_header(scope, b"host").lower()
    if not _is_ours(host, hosts):
        raise RequestRefusedError(
            f"there is no host {host[:100]!r} here: add it to BOURSOMATIC_WEB_HOSTS if it is yours"
        )
    origin = _one_header(scope, b"origin").lower()
    if origin and not _is_same(origin, host, hosts):
        raise RequestRefusedError(f"the request comes from another page, {origin[:100]!r}: open this host itself")
    foreign = _one_header(scope, b"sec-fetch-site") in ("cross-site", "same-site")
    if not origin and foreign and _one_header(scope, b"sec-fetch-mode") != "navigate":
        raise RequestRefusedError("the request comes from another page: open this host itself")


def require_safe_method(scope: Message) -> None:
    """Check that a link or a form of another page can change nothing.

    Raises:
        RequestRefusedError: a mutation is not sent by POST, or not as JSON.
    """
    if not _is_graphql(scope):
        return
    if scope["method"] != "POST":
        if any(map(mutations, _queries_of_address(scope))):
            raise RequestRefusedError("a mutation is sent by POST alone")
    elif _media_type(scope) not in GRAPHQL_TYPES:
        raise RequestRefusedError(f"GraphQL is sent as {' or '.join(GRAPHQL_TYPES)}")


def mutations(query: str) -> set[str]:
    """The names of what a GraphQL document changes, or may change if it cannot be parsed, such as one too deep."""
    from graphql import FieldNode, GraphQLError, OperationDefinitionNode, OperationType, parse

    try:
        document = parse(query)
    except (GraphQLError, RecursionError):  # without the word, Dagster answers what is wrong with it
        return {"(an unreadable mutation)"} if "mutation" in query else set()
    return {
        field.name.value if isinstance(field, FieldNode) else "(a fragment)"
        for operation in document.definitions
        if isinstance(operation, OperationDefinitionNode) and operation.operation == OperationType.MUTATION
        for field in operation.selection_set.selections
    }


def is_loopback(name: str) -> bool:
    """Whether a name or an address, without a port, is this machine's own and nobody else's."""
    try:
        return name == "localhost" or ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:  # a name, and no address
        return False


def is_unspecified(name: str) -> bool:
    """Whether an address stands for all of a machine's, such as 0.0.0.0, so that it is no name for a browser."""
    try:
        return ipaddress.ip_address(name).is_unspecified
    except ValueError:  # a name, and no address
        return False


def _is_ours(host: str, hosts: frozenset[str]) -> bool:
    found = _NETLOC.fullmatch(host)
    return found is not None and (is_loopback(found[1]) or bool(hosts & {host, found[1]}))


def _is_same(origin: str, host: str, hosts: frozenset[str]) -> bool:
    """Whether a page is the host's own. A proxy may have written another Host, so stated names are ours too."""
    scheme, _, netloc = origin.partition("://")
    default = {"http": ":80", "https": ":443"}.get(scheme)
    return default is not None and netloc.removesuffix(default) in hosts | {host.removesuffix(default)}


def _one_header(scope: Message, name: bytes) -> str:
    """The value of a header, empty if it is missing.

    Raises:
        RequestRefusedError: it is there twice, so that two programs may read two values.
    """
    values = [value for key, value in scope["headers"] if key.lower() == name]
    if len(values) > 1:
        raise RequestRefusedError(f"the header {name.decode()} is there {len(values)} times")
    return str(values[0].decode("latin-1")).strip() if values else ""


def _is_graphql(scope: Message) -> bool:
    return str(scope["path"]).rstrip("/").endswith("/graphql")


def _media_type(scope: Message) -> str:
    return _one_header(scope, b"content-type").partition(";")[0].strip().lower()


async def _require_reading(scope: Message, receive: Receive) -> Receive:
    """Check that a POST changes nothing; return a receiver that gives its body again."""
    if not _is_graphql(scope):
        raise RequestRefusedError("this is read-only")
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    body = b"".join(message.get("body", b"") for message in messages)
    changed = {
        name for query in [*_queries_of_address(scope), *_queries_of_body(body)] for name in mutations(query)
    }
    if not changed <= HARMLESS:
        raise RequestRefusedError(f"this is read-only: {', '.join(sorted(changed - HARMLESS))[:200]} is not done")
    left = iter(messages)

    async def again() -> Message:
        return next(left, None) or await receive()

    return again


def _queries_of_address(scope: Message) -> list[str]:
    return parse_qs(scope["query_string"].decode("latin-1")).get("query", [])


def _queries_of_body(body: bytes) -> list[str]:
    """The query of a body, in JSON or as it stands: the webserver may take it for either, whatever its type is."""
    try:
        query = json.loads(body)["query"]
    except (ValueError, TypeError, KeyError, RecursionError):  # it is no request in JSON
        return [body.decode(errors="replace")]
    return [query] if isinstance(query, str) else []


async def _refuse(scope: Message, reason: str, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": reason[:100]})
        return
    plain = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
    await send({"type": "http.response.start", "status": 403, "headers": plain})
    await send({"type": "http.response.body", "body": f"refused: {reason}\n".encode()})


def _unframed(send: Send) -> Send:
    """Answers that no foreign page can show in a frame, where a click would be the user's own."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), (b"x-frame-options", b"SAMEORIGIN")]
        await send(message)

    return sent
