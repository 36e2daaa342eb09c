"""What the command line shows of the bar that a recommendation rests on.

What belongs here: the bar as text: its versions, where each came from, its session's delivery.
Kept elsewhere: the story around it (`story.py`), the bar itself (`audit/provenance.py`, `audit/origins.py`).
"""

import datetime as dt
from typing import Any

Facts = dict[str, Any]


def bar_as_lines(bar: Facts) -> list[str]:
    """The bar then and now, each with the line of the file that it came from, and its session's delivery."""
    lines = ["bar"]
    for title, one in (("known then", bar["known_then"]), ("known now", bar["known_now"])):
        if one:
            lines.append(f"  {title}: {_prices(one)}; known since {as_time(one['known_from'])}")
            lines += _origin(one["origin"])
    if bar["known_then"] is None:
        lines.append("  none was known when the recommendation was written")
    if bar["changed_since"] and bar["known_now"] is None:
        lines.append("  it was removed since")
    delivery = bar["delivery"]
    if delivery:
        counts = ", ".join(f"{name} {delivery[name]:,}" for name in ("delivered", "kept", "merged", "rejected"))
        state = ", provisional" if delivery["provisional"] else ""
        lines.append(
            f"  its session was delivered by {delivery['source']} at {as_time(delivery['delivered_at'])}"
            f" (run {delivery['run_id']}): {counts}{state}"
        )
    for one in bar["earlier_versions"]:
        lines.append(f"  earlier, until {as_time(one['known_until'])}: {_prices(one)}")
        lines += _origin(one["origin"])
    lines += [f"  rejected: {one['reason']} ({one['file']}:{one['line']})" for one in bar["rejected"]]
    return lines


def _prices(bar: Facts) -> str:
    return ", ".join(f"{name} {bar[name]:g}" for name in "ohlcv")


def _origin(origin: Facts) -> list[str]:
    """The line of the file that a bar came from, or what made it, and the run that stored it."""
    stored = f"; stored by run {origin['stored_by']}" if origin["stored_by"] else ""
    if origin["file"] is None:
        known = origin["source"] not in ("files", None)
        made_by = f"made by {origin['source']}, from no file" if known else "its file and line were not kept"
        return [f"    {made_by}{stored}"]
    since = {
        "same": "",
        "changed": "; the file has changed since, so that line may hold something else now",
        "gone": "; the file is gone since",
    }
    return [
        f"    from line {origin['line']} of {origin['file']}{stored}",
        f"    that file was read first at {as_time(origin['read_at'])} (run {origin['read_by']}), SHA-256"
        f" {origin['digest']}{since[origin['file_now']]}",
    ]


def as_time(moment: dt.datetime) -> str:
    """A time to the second."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
