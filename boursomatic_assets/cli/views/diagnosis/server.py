"""What a run needs of the database's server: that it answers, its clock, its sessions, its schema, its replica.

What belongs here: a check for each, as one line or an error. Kept elsewhere: what is measured (`database/`).
"""

from sqlalchemy import func, select, text

from boursomatic_assets import database, settings
from boursomatic_assets.database import migrate, pooling, server_time
from boursomatic_assets.database.addresses import replica_url
from boursomatic_assets.database.embedded import cluster as embedded_cluster
from boursomatic_assets.database.replica import lag, slots
from boursomatic_assets.database.roles.surplus import surplus_of_writer

_FUTURE_BARS = text(
    "SELECT count(*), max(b.ts) FROM instruments i CROSS JOIN LATERAL ("
    "SELECT ts FROM price_bars WHERE instrument_id = i.id AND ts > now()::timestamp) b"
)
"""By instrument, as the index has them."""


def check_database() -> str:
    """Check that the database answers, in UTC."""
    with database.engine().connect() as connection:
        version, zone = connection.execute(select(func.version(), func.current_setting("TimeZone"))).one()
    if zone != "UTC":
        raise RuntimeError(f"connections use the time zone {zone}: they must use UTC")
    return f"{version.split(' on ')[0]}, {_describe_server()}"


def _describe_server() -> str:
    address = settings.database_address()
    if address is None:
        return f"the embedded server in {embedded_cluster.find_cluster(settings.home()).folder}"
    return f"at {settings.redacted(address)}"


def check_clock() -> str:
    """Check that the clocks agree, and that no bar lies in the future."""
    with database.engine().connect() as connection:
        server_time.require_same_clock(server_time.database_time(connection))
        count, last = connection.execute(_FUTURE_BARS).one()
    if count:
        raise RuntimeError(
            f"{count:,} bars lie in the future, the last on {last:%Y-%m-%d}: a clock was wrong when they were"
            " stored; delete them, and compute again what looks back on them"
        )
    return "that of the database, and no bar lies after it"


def check_sessions() -> str:
    """Check that no pooler shares sessions between clients."""
    if pooling.shares_sessions(database.database_url()):
        raise RuntimeError(
            "clients share sessions, as behind PgBouncer with pool_mode = transaction, and locks of a run would be"
            " another's: set pool_mode = session for this database there, or let DATABASE_URL name"
            " the server itself"
        )
    return "each client has one of its own, which its locks need"


def check_replica() -> str:
    """Check how far the replica is, if one is set."""
    url = replica_url()
    if url is None:
        return "none is set, and the primary is read"
    return f"{settings.redacted(url)} {lag.measure(url)}"


def check_slots() -> str:
    """Check that no replication slot fills the disk."""
    with database.engine().connect() as connection:
        found = slots.read_slots(connection)
    if filling := [slot for slot in found if slot.fills_disk]:
        raise RuntimeError(
            f"{'; '.join(map(str, filling))}: start what follows by it (`boursomatic db replica create` starts a"
            " replica that is there), or end it with `boursomatic db replica stop`, or one of others with"
            " pg_drop_replication_slot. Until then the log grows and may fill the disk"
        )
    return "; ".join(map(str, found)) or "there is none"


def check_privileges() -> str:
    """Tell a role that may do more than its work needs; one address for all is allowed, and not advised."""
    with database.engine().connect() as connection:
        user, surplus = connection.scalar(select(func.current_user())), surplus_of_writer(connection)
    if not surplus:
        return f"{user} may do what a writer must, and no more"
    return (
        f"{user} may do more than a writer should: {'; '.join(surplus)}. `boursomatic db grant writer --password`"
        " makes a login for DATABASE_URL; this one is then for DATABASE_OWNER_URL"
    )


def check_schema() -> str:
    """Check that the schema is that of this code."""
    migrate.require_current_schema(database.engine())
    return f"at revision {migrate.head_revision()}"
