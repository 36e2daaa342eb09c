"""Web requests: what a foreign page can send through a browser is refused; the own pages are answered."""

import asyncio
import json
from typing import Any

import pytest

from boursomatic_assets.orchestration.web_requests import WebRequests, is_loopback, mutations

HERE = "127.0.0.1:3000"
WIPE, ASK = "mutation { wipeAssets(assetPartitionRanges: []) { __typename } }", "{ version }"
ANSWERED = [(200, "answered")]


def answers(
    method: str = "GET",
    path: str = "/graphql",
    *,
    query: str = "",
    body: bytes = b"",
    hosts: tuple[str, ...] = (),
    read_only: bool = False,
    kind: str = "http",
    **headers: str | list[str],
) -> list[tuple[int, str]]:
    """The status and the body of the answer to a request, in front of a webserver that answers anything."""
    sent: list[dict[str, Any]] = []
    chunks = [body[:7], body[7:]]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if kind == "http" and method == "POST":
            assert b"".join([(await receive())["body"] for _ in range(2)]) == body, "the body is handed on"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"answered"})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    pairs = {"host": HERE, **headers}.items()
    values = [(name, value) for name, found in pairs for value in ([found] if isinstance(found, str) else found)]
    scope = {
        "type": kind,
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in values],
    }
    app_behind = WebRequests(app, hosts, read_only=read_only)  # type: ignore[arg-type]
    asyncio.run(app_behind(scope, receive, send))  # type: ignore[arg-type]
    if sent[0]["type"] == "websocket.close":
        return [(sent[0]["code"], sent[0]["reason"])]
    assert (sent[0]["status"] == 200) == ((b"x-frame-options", b"SAMEORIGIN") in sent[0]["headers"])
    return [(sent[0]["status"], sent[1]["body"].decode())]


def refused(*args: Any, **request: Any) -> str:
    """The reason for which a request is refused."""
    ((status, body),) = answers(*args, **request)
    assert status == 403
    assert body.startswith("refused: ")
    assert body.count("\n") == 1
    return body


@pytest.mark.parametrize("host", ["127.0.0.1:3000", "localhost", "LOCALHOST:8080", "[::1]:3000", "127.1.2.3"])
def test_this_machine_is_answered_by_any_of_its_own_names(host: str) -> None:
    assert answers(host=host) == ANSWERED


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:3000", "127.0.0.1.evil.example", "localhost.evil.example", "localhost:x"),
        *("", "ann@127.0.0.1", "127.0.0.1/evil", "0.0.0.0:3000", "192.168.1.5", ["127.0.0.1", "evil.example"]),
        *("[::1", "[::ffff:10.0.0.1]", "2130706433", "127.0.0.1\tevil.example"),
    ],
    ids=str,
)
def test_a_name_that_is_not_ours_is_refused(host: str | list[str]) -> None:
    """A page of evil.example, of which the name is rebound to 127.0.0.1, sends its own name."""
    refused(host=host)


def test_a_stated_name_is_answered() -> None:
    stated = ("bars.example.com", "nas.lan:3000")
    for host in ("bars.example.com", "Bars.Example.com:443", "nas.lan:3000"):
        assert answers(host=host, hosts=stated) == ANSWERED
    assert "BOURSOMATIC_WEB_HOSTS" in refused(host="nas.lan:4000", hosts=stated)


@pytest.mark.parametrize(
    "origin",
    [
        *("http://evil.example", "null", "http://localhost:8000", "http://127.0.0.1", "file://127.0.0.1:3000"),
        *("http://127.0.0.1:3000.evil.example", "http://evil.example#127.0.0.1:3000", "127.0.0.1:3000"),
        ["http://127.0.0.1:3000", "http://evil.example"],
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_page_of_another_origin_is_refused(origin: str | list[str], kind: str) -> None:
    ((status, reason),) = answers("POST", origin=origin, kind=kind, content_type="application/json")
    assert (status in (403, 1008), "another page" in reason or "2 times" in reason) == (True, True)


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_the_own_page_is_answered(kind: str) -> None:
    assert answers("POST", origin=f"http://{HERE}", kind=kind, content_type="application/json") == ANSWERED


def test_the_page_of_a_stated_name_is_answered_whatever_host_the_proxy_writes() -> None:
    sent = {"content_type": "application/json", "hosts": ("bars.example.com",)}
    for host in ("127.0.0.1:3000", "bars.example.com", "bars.example.com:443"):
        assert answers("POST", host=host, origin="https://bars.example.com", **sent) == ANSWERED
    refused("POST", host="bars.example.com", origin="https://bars.example.com:8443", **sent)


def test_what_a_foreign_page_loads_without_an_origin_is_refused_and_a_link_is_followed() -> None:
    refused(sec_fetch_site="cross-site", sec_fetch_mode="no-cors")
    refused(sec_fetch_site="same-site", sec_fetch_mode="cors")
    assert answers(sec_fetch_site="cross-site", sec_fetch_mode="navigate") == ANSWERED
    assert answers(sec_fetch_site="same-origin", sec_fetch_mode="cors") == ANSWERED


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
@pytest.mark.parametrize(
    "query",
    [
        "query=mutation+%7B+wipeAssets+%7B+x+%7D+%7D",
        "query=%7B+version+%7D&query=mutation%7Bx%7D",
        "query=query+A%7Ba%7D+mutation+B%7Bb%7D&operationName=B",
        "query=%23%0Amutation%7Bx%7D",
    ],
)
def test_a_link_changes_nothing(method: str, query: str) -> None:
    assert "POST alone" in refused(method, query=query)


@pytest.mark.parametrize("query", ["query=%7B+version+%7D", "query=broken%7B", "q=mutation%7Bx%7D", ""])
def test_a_link_may_ask(query: str) -> None:
    assert answers("GET", query=query) == ANSWERED


@pytest.mark.parametrize(
    "kind",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain; application/json"],
)
def test_a_form_sends_no_graphql(kind: str) -> None:
    assert "GraphQL is sent as" in refused("POST", content_type=kind, query="query=mutation%7Bx%7D")


def as_json(query: str) -> dict[str, Any]:
    return {"content_type": "application/json", "body": json.dumps({"query": query}).encode()}


def test_a_read_only_webserver_answers_questions_alone() -> None:
    assert "wipeAssets is not done" in refused("POST", read_only=True, **as_json(WIPE))
    assert "a fragment" in refused(
        "POST", read_only=True, **as_json(f"mutation {{...A}} fragment A on M {{x}} {ASK}")
    )
    assert "harmless" in refused("POST", read_only=True, **as_json("mutation { logTelemetry: harmless { x } }"))
    refused("POST", read_only=True, content_type="application/graphql", body=WIPE.encode())
    refused("POST", "/report_asset_materialization/price_bars", read_only=True, body=b"{}")
    for query in (ASK, "mutation { logTelemetry { x } }", "broken {"):
        assert answers("POST", read_only=True, **as_json(query)) == ANSWERED
    assert answers("POST", read_only=True, content_type="application/json", body=b"no JSON") == ANSWERED
    assert answers("POST", **as_json(WIPE)) == ANSWERED, "it is not read-only"


HIDDEN = json.dumps({"query": WIPE}).replace("mutation", "\\u006dutation").encode()


@pytest.mark.parametrize("content_type", ["application/graphql; a=application/json", "application/json"])
def test_a_mutation_is_found_whichever_way_the_webserver_reads_the_body(content_type: str) -> None:
    """Dagster looks for the words of a type anywhere in the header."""
    assert "wipeAssets" in refused("POST", read_only=True, content_type=content_type, body=HIDDEN)


def test_a_mutation_in_the_address_is_found_beside_a_harmless_body() -> None:
    """Dagster reads the address if it does not know the type, of which it minds the case."""
    harmless = json.dumps({"query": ASK}).encode()
    given = {"content_type": "Application/JSON", "body": harmless, "query": "query=" + WIPE.replace(" ", "%20")}
    assert "wipeAssets" in refused("POST", read_only=True, **given)


def test_a_document_too_deep_to_be_parsed_counts_as_a_change() -> None:
    assert mutations("mutation" + "{a" * 50_000)


@pytest.mark.parametrize(("name", "own"), [("127.0.0.1", True), ("::1", True), ("0.0.0.0", False), ("nas", False)])
def test_an_address_is_this_machines_own_or_not(name: str, own: bool) -> None:
    assert is_loopback(name) == own
