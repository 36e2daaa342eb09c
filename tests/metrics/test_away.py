"""The page answers when a database does not, says so, and shows no secret."""

import socket
import struct
import threading
import time
from functools import partial
from pathlib import Path
from typing import NoReturn

import dagster as dg
import pytest
from prometheus_client.metrics_core import Metric
from sqlalchemy import Engine, text
from worlds.commands import SECRET, boursomatic, error_line
from worlds.scrapes import scrape, served
from worlds.ui import ask

from boursomatic_assets import database
from boursomatic_assets.cli.operating import metrics as command
from boursomatic_assets.metrics import server
from boursomatic_assets.metrics.descriptions import UP, families
from boursomatic_assets.metrics.reading import Readings

GROUPS = ("freshness", "rows", "computed", "champion", "alerts", "replication", "runs", "checks", "daemon")


def address(port: int) -> str:
    return f"postgresql+psycopg://ann:{SECRET}@127.0.0.1:{port}/boursomatic"


def test_without_its_databases_the_page_says_so_and_why_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DATABASE_URL", address(1))
    monkeypatch.delenv("DAGSTER_DATABASE_URL", raising=False)
    with served() as port:
        page = scrape(port)
        scrape(port)
    assert page.value("up") == 0
    assert page.values("group_up", "group") == {(group,): 0 for group in GROUPS}
    assert {name for name, *_ in page.series} == {"boursomatic_up", "boursomatic_group_up"}
    assert len(caplog.messages) == 2, "one line for each database, once"
    assert "no figures of freshness, rows, computed, champion, alerts, replication:" in caplog.messages[0]
    assert "the server at 127.0.0.1:1 does not answer" in caplog.messages[0]
    assert SECRET not in page.page + caplog.text


def test_a_database_that_is_stuck_does_not_keep_the_page_waiting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes connections, and says nothing
        monkeypatch.setenv("DATABASE_URL", address(silent.getsockname()[1]))
        shared = server.SharedReading(Readings().read)
        began = time.monotonic()
        (up,) = (one.samples for one in shared.get() if one.samples)
        assert time.monotonic() - began < 2, "a connection alone may take three seconds"
        assert up[0].value == 0
        assert "the databases have not answered for 0.2 s" in caplog.text
    assert shared._present
    shared._present.result(30)  # so that it logs nothing into another test


def test_one_database_is_read_while_the_other_is_away(
    migrated: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DAGSTER_DATABASE_URL", address(1).replace("+psycopg", ""))
    with served() as port:
        page = scrape(port)
    assert page.value("up") == 0
    up = {group for (group,), value in page.values("group_up", "group").items() if value}
    assert up == {*GROUPS} - {"runs", "checks", "daemon"}
    assert "correct DAGSTER_DATABASE_URL" in caplog.text


def test_a_group_that_cannot_be_read_leaves_the_others(
    migrated: Engine, dagster_instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
) -> None:
    readings = Readings()

    def down() -> list[str]:
        found = {one.name: one.samples for one in readings.read()}
        return [sample.labels["group"] for sample in found["boursomatic_group_up"] if not sample.value]

    for _ in range(2):
        with migrated.begin() as connection:
            connection.execute(text("ALTER TABLE alerts RENAME TO others"))
        assert down() == down() == ["alerts"]
        with migrated.begin() as connection:
            connection.execute(text("ALTER TABLE others RENAME TO alerts"))
        assert down() == down() == []
    said = [message.partition(":")[0] for message in caplog.messages]
    assert said == ["no figures of alerts", "figures of alerts are read again"] * 2


def test_each_time_a_database_goes_away_is_logged(
    migrated: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    readings, connect = Readings(), database.connect
    for away in (True, True, False, False) * 2:
        failing = partial(fail, database.DatabaseError("the server has gone")) if away else connect
        monkeypatch.setattr(database, "connect", failing)
        readings.read()
    assert [message.split(" ")[0] for message in caplog.messages] == ["no", "no", "figures", "figures"] * 2


def fail(error: Exception, *_: object) -> NoReturn:
    raise error


def test_whoever_hangs_up_before_the_answer_leaves_one_line(caplog: pytest.LogCaptureFixture) -> None:
    gone = threading.Event()

    def read() -> list[Metric]:
        gone.wait(30)
        return families([UP.of(1)])

    with served(read) as port:
        asker = socket.create_connection(("127.0.0.1", port))
        asker.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.1)
        asker.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, at once
        asker.close()
        gone.set()
        deadline = time.monotonic() + 30
        while not caplog.messages and time.monotonic() < deadline:
            time.sleep(0.02)
    assert caplog.messages == [
        "whoever asked for /metrics was gone before the answer: is its time limit below 10 s?"
    ]


def test_nothing_is_written(migrated: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Exception, match="read-only transaction"), Readings()._platform.begin() as connection:
        connection.execute(text("DELETE FROM rejected_bars"))


def test_who_asks_while_a_reading_goes_on_gets_the_same_one(caplog: pytest.LogCaptureFixture) -> None:
    readings, go_on = [], threading.Event()

    def read() -> list[Metric]:
        readings.append(1)
        go_on.wait(30)
        return families([UP.of(1)])

    shared = server.SharedReading(read)
    answers: list[list[Metric]] = []
    askers = [threading.Thread(target=lambda: answers.append(shared.get())) for _ in range(3)]
    for asker in askers:
        asker.start()
    time.sleep(0.05)
    go_on.set()
    for asker in askers:
        asker.join()
    assert len(answers) == 3
    assert len(readings) == 1
    shared.get()
    assert len(readings) == 2


@pytest.mark.parametrize("host", ["evil.example", "evil.example:9464", "", "[::1", "127.0.0.1.evil.example"])
def test_a_page_that_rebinds_its_name_to_this_machine_is_not_answered(host: str) -> None:
    with served(lambda: pytest.fail("it was read")) as port:
        assert ask(port, path="/metrics", Host=host) == (403, "refused: there is no such host here\n")


@pytest.mark.parametrize("host", ["localhost:9464", "127.0.0.1", "[::1]:9464"])
def test_this_machine_is_answered_at_one_path(host: str) -> None:
    with served(lambda: families([UP.of(1)])) as port:
        assert "boursomatic_up 1.0" in ask(port, path="/metrics?x=1", Host=host)[1]
        assert ask(port, path="/", Host=host) == (404, "the page is /metrics\n")


def test_the_page_can_be_printed_once(migrated: Engine) -> None:
    printed = boursomatic("metrics", "--once")
    assert printed.exit_code == 0
    assert "\nboursomatic_up 1.0\n" in printed.stdout


def test_a_page_that_lacks_figures_is_printed_with_exit_code_1(
    migrated: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_DATABASE_URL", address(1).replace("+psycopg", ""))
    printed = boursomatic("metrics", "--once")
    assert printed.exit_code == 1
    assert "\nboursomatic_up 0.0\n" in printed.stdout
    assert database.dagster_url().password not in printed.output


def test_without_the_setting_nothing_is_served(home: Path) -> None:
    assert "BOURSOMATIC_METRICS is not set: set it to an address" in error_line(boursomatic("metrics"))


def test_an_address_of_another_machine_is_refused(migrated: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSOMATIC_METRICS", "192.0.2.1:9464")
    line = error_line(boursomatic("metrics"))
    assert "192.0.2.1:9464 cannot be listened at" in line
    assert "set BOURSOMATIC_METRICS to an address of this machine" in line


def test_an_address_that_others_reach_says_what_that_means(
    migrated: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They may read all of it, so the name by which they ask does not matter."""
    listening = command._listen("0.0.0.0", 0)
    threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
    assert ask(listening.server_port, path="/metrics", Host="bars.example.com:9464")[0] == 200
    listening.shutdown()
    listening.server_close()
    warned = capsys.readouterr().err
    assert "warning: whoever reaches port 0 of 0.0.0.0 may read the metrics, without a password" in warned
