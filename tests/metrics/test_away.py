"""The page answers when a database does not, says so, and shows no secret."""

import logging
import socket
import threading
import time
from collections.abc import Iterator

import dagster as dg
import pytest
from prometheus_client.metrics_core import Metric
from sqlalchemy import Engine, text
from worlds.commands import SECRET, boursomatic
from worlds.scrapes import scrape, served
from worlds.ui import ask

from boursomatic_assets import database
from boursomatic_assets.metrics import server
from boursomatic_assets.metrics.descriptions import UP, families
from boursomatic_assets.metrics.reading import Readings

GROUPS = ("freshness", "rows", "computed", "champion", "alerts", "runs", "checks", "daemon")


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


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
    assert "no figures of freshness, rows, computed, champion, alerts:" in caplog.messages[0]
    assert "the server at 127.0.0.1:1 does not answer" in caplog.messages[0]
    assert SECRET not in page.page + caplog.text


def test_a_database_that_is_stuck_does_not_keep_the_page_waiting(
    silent: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DATABASE_URL", address(silent))
    monkeypatch.setattr(server, "ANSWER_SECONDS", 0.2)
    with served() as port:
        began = time.monotonic()
        page = scrape(port)
    assert time.monotonic() - began < 2, "a connection alone may take three seconds"
    assert page.value("up") == 0
    assert "the databases have not answered for 0.2 s" in caplog.text


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

    with migrated.begin() as connection:
        connection.execute(text("ALTER TABLE alerts RENAME TO others"))
    assert down() == down() == ["alerts"]
    assert [message.partition(":")[0] for message in caplog.messages] == ["no figures of alerts"]
    with migrated.begin() as connection:
        connection.execute(text("ALTER TABLE others RENAME TO alerts"))
    assert down() == []


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
