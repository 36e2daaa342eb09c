"""The variables: each with its type, its default and its meaning.

What belongs here: the model `Settings`. Kept elsewhere: how a value is checked (`values.py`), how the environment
is read, and one function for each variable (`settings/__init__.py`).
"""

import datetime as dt
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from boursomatic_assets.settings.values import (
    EXAMPLE,
    Language,
    check_broker,
    check_command,
    check_mail_server,
    check_prefix,
    check_web_address,
    one_of,
    parse_address,
    parse_count,
    parse_evidence,
    parse_first_date,
    parse_hosts,
    parse_listen_address,
    parse_recipients,
    parse_seconds,
    parse_seed,
    parse_signal,
    parse_store,
)

Flag = Annotated[bool, BeforeValidator(one_of("0", "1"))]
Seconds = Annotated[int, BeforeValidator(parse_seconds)]
Count = Annotated[int, BeforeValidator(parse_count)]
Years = Annotated[int | None, BeforeValidator(parse_count)]
WebAddress = Annotated[str | None, BeforeValidator(check_web_address)]
Command = Annotated[str | None, BeforeValidator(check_command)]
Broker = Annotated[str | None, BeforeValidator(check_broker)]
MailServer = Annotated[str | None, BeforeValidator(check_mail_server)]
Recipients = Annotated[tuple[str, ...], NoDecode, BeforeValidator(parse_recipients)]
ListenAddress = Annotated[tuple[str, int] | None, NoDecode, BeforeValidator(parse_listen_address)]
AlertFormat = Annotated[str, BeforeValidator(one_of("json", "slack", "teams"))]
Evidence = Annotated[tuple[float, ...], NoDecode, BeforeValidator(parse_evidence)]
Seed = Annotated[int, BeforeValidator(parse_seed)]
Signal = Annotated[float, BeforeValidator(parse_signal)]
Hosts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(parse_hosts)]
Store = Annotated[str | None, BeforeValidator(parse_store)]
FirstDate = Annotated[dt.date, BeforeValidator(parse_first_date)]
Address = Annotated[Any, BeforeValidator(parse_address)]
"""A URL of SQLAlchemy, which is imported where one is parsed: most commands show none."""
RolePrefix = Annotated[str, BeforeValidator(check_prefix)]
KnownLanguage = Annotated[Language, BeforeValidator(one_of(*get_args(Language)))]


def _field(default: str | None, meaning: str, *, unset: str = "", secret: bool = False) -> Any:
    """A field. Its default is written as in the environment; `unset` describes the value where there is none."""
    return Field(default, description=meaning, json_schema_extra={"unset": unset}, repr=not secret)


class Settings(BaseSettings):
    """The environment; each field has the name of its variable, and those without `repr` are secret."""

    model_config = SettingsConfigDict(
        case_sensitive=True, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    BOURSOMATIC_SOURCE: str = _field(
        "simulated", "where bars come from: simulated, files, yahoo, stooq, or an order such as stooq,yahoo"
    )
    BOURSOMATIC_FILES: Path | None = _field(
        None, "folder with a vendor's files, for the source files; searched recursively", unset="none"
    )
    BOURSOMATIC_FOREIGN_LINKS: Flag = _field(
        "0", "1 follows links in the folder of files that lead out of it; 0 names them"
    )
    BOURSOMATIC_STOOQ_KEY: str | None = _field(
        None, "key that Stooq wants for downloads", unset="none", secret=True
    )
    BOURSOMATIC_SIMULATED_INSTRUMENTS: Count = _field("24", "instruments that a simulated market lists")
    BOURSOMATIC_SIMULATED_SEED: Seed = _field("7", "seed of the simulated market: another one is another market")
    BOURSOMATIC_SIMULATED_SIGNAL: Signal = _field(
        "1",
        "strength of the signal planted in the simulated market, up to 2: 1 is a rank IC of 0.15, where real"
        " markets have 0.03; 0 is none",
    )
    BOURSOMATIC_EXTENDED_HOURS: Flag = _field(
        "0", "1 keeps 15m bars outside of the trading hours of a session, 0 rejects them"
    )
    BOURSOMATIC_START: FirstDate = _field(
        "2000-01-03",
        "date of the first partition; if unset, simulated bars on the embedded server begin where the first"
        " backfill of a new home does, or an earlier one",
    )
    BOURSOMATIC_AUTOMATION: Flag = _field(
        "0", "1 starts the schedules and sensors with the daemon, unless they are switched in the UI"
    )
    BOURSOMATIC_SESSIONS_PER_RUN: Count = _field(
        "100000", "sessions of a market in one run at most; fewer need less memory"
    )
    BOURSOMATIC_BROKER: Broker = _field(
        None,
        "message broker through which runs go to `boursomatic worker`, like redis://:password@host:6379/0 or"
        " amqps://user:password@host:5671/; the same for the daemon and all workers",
        unset="none: the daemon's machine runs them",
        secret=True,
    )
    BOURSOMATIC_EVIDENCE: Evidence = _field(
        "20,5,2",
        "how many to one must speak for a model before the conservative, moderate and aggressive profile advise",
    )
    BOURSOMATIC_LANGUAGE: KnownLanguage = _field("en", "language of justifications: en or fr")
    BOURSOMATIC_HOME: Path | None = _field(
        None,
        "folder of the embedded server and Dagster's files; models and archive lie there too, unless there is a"
        " store",
        unset=".boursomatic in the project",
    )
    BOURSOMATIC_STORE: Store = _field(
        None,
        "where models and the archive are kept: a folder, or s3://bucket/prefix with AWS_ACCESS_KEY_ID,"
        " AWS_SECRET_ACCESS_KEY and, elsewhere than at Amazon, AWS_ENDPOINT_URL",
        unset="the home folder",
    )
    BOURSOMATIC_STORE_WAIT: Seconds = _field(
        "300",
        "seconds for which a run waits for a store that is away; commands that only look wait for 5 at most",
    )
    BOURSOMATIC_ARCHIVE: Path | None = _field(
        None, "folder of archived bars, if they are to lie elsewhere than models", unset="archive in the store"
    )
    BOURSOMATIC_COLD_AFTER: Years = _field(
        None,
        "whole years before this one for which daily bars and features stay in their tables; older ones move to"
        " the archive each night",
        unset="they stay for good",
    )
    DATABASE_URL: Address = _field(
        None, f"the product's database, like {EXAMPLE}", unset="the embedded server", secret=True
    )
    DATABASE_OWNER_URL: Address = _field(
        None, "the same database as the owner of its tables, who migrates", unset="DATABASE_URL", secret=True
    )
    DATABASE_ACCOUNTS_URL: Address = _field(
        None, "the same database as account_admin, who keeps accounts", unset="DATABASE_URL", secret=True
    )
    DATABASE_APP_URL: Address = _field(
        None, "the same database as app, who serves one account at a time", unset="DATABASE_URL", secret=True
    )
    BOURSOMATIC_READ_URL: Address = _field(
        None,
        "the same database on a streaming replica, for what only reads; `boursomatic db replica create` prints it",
        unset="the primary is read",
        secret=True,
    )
    BOURSOMATIC_LOCK_WAIT: Count = _field(
        "1800",
        "seconds that a command waits for a lock that another session has, before it gives up and names it; runs"
        " of the daemon wait on",
    )
    BOURSOMATIC_ROLE_PREFIX: RolePrefix = _field(
        "",
        "what the names of the database's roles begin with, on a server that others use too",
        unset="nothing",
    )
    DAGSTER_DATABASE_URL: Address = _field(
        None,
        "the database of Dagster's runs and events",
        unset="the database dagster on the product's server",
        secret=True,
    )
    BOURSOMATIC_DATABASE_WAIT: Seconds = _field(
        "300",
        "seconds for which a run and Dagster's services wait for a server that is away, starts, or takes no more"
        " connections; commands that only look wait for 5 at most",
    )
    DAGSTER_HOME: Path | None = _field(
        None, "folder of Dagster's instance, with its dagster.yaml", unset="dagster in the home folder"
    )
    BOURSOMATIC_AUDIT_HEADS: Path | None = _field(
        None, "second file for the heads of the audit's chains, best on another machine's disk", unset="none"
    )
    BOURSOMATIC_WEB_HOSTS: Hosts = _field(
        "",
        "names by which browsers reach the UI, such as bars.example.com, for a proxy or `dev --expose`",
        unset="those of this machine itself",
    )
    BOURSOMATIC_UI: Annotated[str, BeforeValidator(check_web_address)] = _field(
        "http://127.0.0.1:3000", "address of the Dagster UI, for links in alerts"
    )
    BOURSOMATIC_ALERT_WEBHOOK: WebAddress = _field(
        None, "address that alerts are posted to", unset="none", secret=True
    )
    BOURSOMATIC_ALERT_FORMAT: AlertFormat = _field("json", "form of what is posted: json, slack or teams")
    BOURSOMATIC_ALERT_SMTP: MailServer = _field(
        None,
        "mail server for alerts, like smtps://user:password@mail.example.com:465; smtp:// takes STARTTLS if"
        " offered",
        unset="none",
        secret=True,
    )
    BOURSOMATIC_ALERT_TO: Recipients = _field("", "e-mail addresses that alerts go to", unset="nobody")
    BOURSOMATIC_ALERT_FROM: str = _field("boursomatic@localhost", "e-mail address that alerts come from")
    BOURSOMATIC_ALERT_COMMAND: Command = _field(
        None,
        "command that each alert is given to, as JSON on its standard input; other users of the machine see its"
        " arguments, so it reads secrets from a file",
        unset="none",
        secret=True,
    )
    BOURSOMATIC_METRICS: ListenAddress = _field(
        None,
        "address that /metrics is served at, like 127.0.0.1:9464: by `boursomatic metrics`, and beside"
        " `boursomatic dev`",
        unset="off",
    )
    BOURSOMATIC_STOCK_DAGSTER: Flag = _field("0", "1 runs Dagster without the platform's patches, slowly")
    BOURSOMATIC_YES: Flag = _field("0", "1 lets commands drop rows without --yes, `alembic downgrade` too")
