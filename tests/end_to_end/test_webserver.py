"""`boursomatic dev` for real: who can use the UI, what a page can do in it, and what a proxy in front changes."""

import base64
import json
import os
import signal
import socket
import ssl
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance
from sqlalchemy import Engine
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from worlds import nginx
from worlds.commands import boursomatic, error_line
from worlds.ui import Answer, ask, dev, eventually_answers, eventually_gone, free_port, members

PROXIED = nginx.NAME
WIPE = 'mutation { wipeAssets(assetPartitionRanges: [{assetKey: {path: ["features"]}}]) { __typename } }'
LAUNCH = """mutation ($config: RunConfigData) { answer: launchRun(executionParams: {
    selector: {repositoryLocationName: "boursomatic", repositoryName: "__repository__", jobName: "market_session"},
    executionMetadata: {tags: [{key: "dagster/partition", value: "2024-06-03|US"}]}, runConfigData: $config}) {
    __typename ... on RunConfigValidationInvalid { errors { message } } } }"""


def listening(session: int) -> set[str]:
    """The TCP addresses, as /proc writes them, on which the processes of a session listen."""
    inodes = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if os.getsid(int(folder.name)) == session:
                for file in (folder / "fd").iterdir():
                    with suppress(OSError):  # it was closed meanwhile
                        inodes.add(str(file.readlink()))
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()]
    return {line[1] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in inodes}


def on_web_socket(port: int, query: str, tls: ssl.SSLContext | None = None, **headers: str) -> dict[str, Any]:
    """The answer to a query that is sent as a subscription; with `tls` to the server of the name PROXIED."""
    opened = socket.create_connection(("127.0.0.1", port))
    address = f"wss://{PROXIED}:{port}" if tls else f"ws://127.0.0.1:{port}"
    with (
        opened,
        connect(
            f"{address}/graphql",
            sock=opened,
            ssl=tls,
            subprotocols=["graphql-ws"],
            additional_headers=headers,
            proxy=None,
        ) as client,
    ):
        client.send(json.dumps({"type": "connection_init"}))
        assert json.loads(client.recv(30)) == {"type": "connection_ack"}
        client.send(json.dumps({"type": "start", "id": "1", "payload": {"query": query}}))
        return json.loads(client.recv(30))


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="asks Linux's /proc who listens")
def test_the_ui_is_used_from_this_machine_by_its_own_pages_alone(
    migrated: Engine, dagster_instance: DagsterInstance, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    with dev(tmp_path / "log", BOURSOMATIC_WEB_HOSTS=PROXIED) as (port, process):
        here = f"127.0.0.1:{port}"
        assert listening(process.pid) == {f"0100007F:{port:04X}"}, "nothing else of it listens"

        assert ask(port, path="/")[0] == 200
        assert ask(port, "{ version }", Origin=f"http://{here}")[0] == 200
        assert ask(port, "{ version }", method="GET")[0] == 200
        for path in ("/", "/graphql", "/server_info", "/logs/x"):
            assert refusal(ask(port, path=path, Host="evil.example"))
        for origin in ("http://evil.example", "null", "http://localhost:1"):
            assert refusal(ask(port, WIPE, Origin=origin))
            with pytest.raises(InvalidStatus, match="403"):
                on_web_socket(port, "{ version }", Origin=origin)
        assert refusal(ask(port, WIPE, method="GET"))
        assert "error" in json.dumps(on_web_socket(port, WIPE, Origin=f"http://{here}")), "no subscription changes"

        config = {"resources": {"source": {"config": {"kind": "files", "files": str(tmp_path)}}}}
        sent = json.dumps({"query": LAUNCH, "variables": {"config": config}})
        status, launched = ask(port, sent)
        assert (status, "RunConfigValidationInvalid" in launched) == (200, True), launched
        assert "resources:source:config" in launched

        with subtests.test("behind the nginx of the documentation"):
            with_a_password_alone_is_the_ui_reached(port, tmp_path / "nginx")


def with_a_password_alone_is_the_ui_reached(port: int, folder: Path) -> None:
    with nginx.in_front_of(port, folder, "ann", "sesame") as (outside, certificates):
        ask_outside = partial(ask, outside, tls=(PROXIED, certificates))
        own = {"Host": PROXIED, "Origin": f"https://{PROXIED}"}
        wrong, known = (own | {"Authorization": basic("ann", password)} for password in ("sesam", "sesame"))
        for stranger in (own, wrong):
            assert ask_outside(path="/", **stranger)[0] == 401
            assert ask_outside(WIPE, **stranger)[0] == 401
            with pytest.raises(InvalidStatus, match="401"):
                on_web_socket(outside, "{ version }", certificates, **without_host(stranger))
        assert ask_outside(path="/", **known)[0] == 200
        status, version = ask_outside("{ version }", **known)
        assert (status, '"version"' in version) == (200, True)
        assert on_web_socket(outside, "{ version }", certificates, **without_host(known))["id"] == "1"
        assert refusal(ask_outside(WIPE, **known | {"Origin": "https://evil.example"}))
        assert refusal(ask_outside("{ version }", **known | {"Host": "evil.example"}))


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def without_host(headers: dict[str, str]) -> dict[str, str]:
    """The headers without those that a web socket sets by itself."""
    return {name: value for name, value in headers.items() if name not in ("Host", "Origin")}


def test_a_read_only_ui_shows_and_changes_nothing(
    migrated: Engine, dagster_instance: DagsterInstance, tmp_path: Path
) -> None:
    with dev(tmp_path / "log", "--read-only") as (port, process):
        assert ask(port, path="/")[0] == 200
        assert '"version"' in ask(port, "{ version }")[1]
        assert "launchRun is not done" in refusal(ask(port, LAUNCH))
        assert "wipeAssets is not done" in refusal(ask(port, WIPE))
        assert refusal(ask(port, path="/report_asset_materialization/features", method="POST"))
        greyed = json.loads(ask(port, "{ permissions { permission value } }")[1])["data"]["permissions"]
        assert not any(
            one["value"] for one in greyed if one["permission"] in ("wipe_assets", "launch_pipeline_execution")
        )
        process.kill()
        assert eventually_gone(process.pid) == {}, "it leaves nothing where it is killed"


def refusal(answer: Answer) -> str:
    status, body = answer
    assert (status, body[:9], body.count("\n")) == (403, "refused: ", 1), answer
    return body


def test_a_taken_port_is_refused_before_anything_is_started(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = error_line(boursomatic("dev", "--port", str(port)))
    assert f"port {port} of 127.0.0.1 is taken" in line
    assert "choose another port with --port" in line
    assert list(home.iterdir()) == []


def test_metrics_are_served_beside_the_ui_and_all_end_where_the_daemon_is_killed(
    migrated: Engine, dagster_instance: DagsterInstance, tmp_path: Path
) -> None:
    port = free_port()
    with dev(tmp_path / "log", BOURSOMATIC_METRICS=f"127.0.0.1:{port}") as (_, process):
        assert "\nboursomatic_up 1.0\n" in eventually_answers(port, "/metrics")[1]
        (daemon,) = (pid for pid, line in members(process.pid).items() if "dagster-daemon" in line)
        os.kill(daemon, signal.SIGKILL)
        assert process.wait(60) == 1
        assert eventually_gone(process.pid) == {}
    log = (tmp_path / "log").read_text()
    assert f"\nerror: the daemon (process {daemon}) was ended by SIGKILL: all services end, start" in log
    assert "Warning" not in log
    assert " - dagster-webserver - INFO - Serving" in log
    assert "\x1b" not in log, "a file has no colours"


@pytest.mark.parametrize("command", ["dev", "metrics"])
def test_a_taken_port_of_the_metrics_is_refused_before_anything_is_started(
    home: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("BOURSOMATIC_METRICS", f"127.0.0.1:{port}")
        ui = ("--port", str(free_port())) if command == "dev" else ()
        line = error_line(boursomatic(command, *ui))
    assert f"port {port} of 127.0.0.1 is taken, perhaps by another `boursomatic metrics`" in line
    assert "let BOURSOMATIC_METRICS name another port" in line
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "bars.example.com"])
def test_an_address_that_others_reach_is_refused_unless_that_is_said(home: Path, host: str) -> None:
    result = boursomatic("dev", "--host", host)
    assert result.exit_code == 2
    assert "asks nobody for a password: add --expose" in result.stderr
    assert list(home.iterdir()) == []


def test_an_exposed_ui_says_what_that_means(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ann@127.0.0.1:1/boursomatic")  # it ends before it starts
    nameless = boursomatic("dev", "--host", "0.0.0.0", "--expose")
    assert nameless.exit_code == 2
    assert "set BOURSOMATIC_WEB_HOSTS" in nameless.stderr
    monkeypatch.setenv("BOURSOMATIC_WEB_HOSTS", "nas.lan")
    told = boursomatic("dev", "--host", "0.0.0.0", "--expose", "--port", "4000").stderr
    assert "whoever reaches port 4000 of 0.0.0.0 may start and delete runs" in told
    assert "nas.lan" in told
    assert "may read everything" in boursomatic("dev", "--host", "192.0.2.1", "--expose", "--read-only").stderr
