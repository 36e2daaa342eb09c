"""A message: what it says, and its forms.

What belongs here: the value, and how it becomes a line, a text, JSON, and what Slack and Teams take.
Kept elsewhere: what there is to say (`problems.py`), how it is sent (`channels.py`).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, Self

Kind = Literal["problem", "recovery", "event"]

WARNING, ERROR = 1, 2
"""How bad a problem is."""

MAX_SESSIONS_NAMED = 10

_WORDS: Final[dict[Kind, str]] = {"problem": "PROBLEM", "recovery": "RECOVERED", "event": "NOTE"}


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes:
        subject: What it is about, the same as long as it lasts, such as `freshness|US`.
        kind: A problem, its recovery, or an event, which needs none.
        title: One sentence.
        market: The market; empty if it is about both.
        sessions: The dates that it is about, in order.
        rule: The check or the rule.
        rows: How many rows, where that is known.
        detail: More about it, such as the first error.
        link: The page of the UI.
        level: How bad it is.
        runs: How many runs failed, where it is about runs.
    """

    subject: str
    kind: Kind
    title: str
    market: str = ""
    sessions: tuple[str, ...] = ()
    rule: str = ""
    rows: int | None = None
    detail: str = ""
    link: str = ""
    level: int = ERROR
    runs: int = 0

    @property
    def headline(self) -> str:
        """The word for its kind, and its sentence."""
        return f"{_WORDS[self.kind]}: {self.title}"

    def facts(self) -> dict[str, str]:
        """What is known, by name."""
        facts = {
            "market": self.market,
            "sessions": _name_sessions(self.sessions),
            "rule": self.rule,
            "rows": "" if self.rows is None else f"{self.rows:,}",
            "detail": self.detail,
            "link": self.link,
        }
        return {name: fact for name, fact in facts.items() if fact}

    def as_text(self) -> str:
        """The headline, and a line for each fact."""
        return "\n".join([self.headline, *(f"{name}: {fact}" for name, fact in self.facts().items())])

    def as_json(self) -> dict[str, Any]:
        """All of it, as values of JSON; `from_json` reads it."""
        return asdict(self) | {"sessions": list(self.sessions)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what `as_json` wrote."""
        return cls(**{**stored, "sessions": tuple(stored["sessions"])})

    def as_slack(self) -> dict[str, Any]:
        """What a webhook of Slack takes."""
        for_slack = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
        return {"text": self.as_text().translate(for_slack)}

    def as_teams(self) -> dict[str, Any]:
        """What a workflow of Teams takes: a message with an adaptive card."""
        facts = [{"title": name, "value": fact} for name, fact in self.facts().items() if name != "link"]
        card: dict[str, Any] = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": [
                {"type": "TextBlock", "text": self.headline, "weight": "Bolder", "wrap": True},
                {"type": "FactSet", "facts": facts},
            ],
        }
        if self.link:
            card["actions"] = [{"type": "Action.OpenUrl", "title": "Open in Dagster", "url": self.link}]
        attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
        return {"type": "message", "attachments": [attachment]}


def _name_sessions(sessions: tuple[str, ...]) -> str:
    """A few of them by name; of more, the first and the last, and how many there are."""
    if len(sessions) <= MAX_SESSIONS_NAMED:
        return ", ".join(sessions)
    return f"{sessions[0]} .. {sessions[-1]} ({len(sessions):,})"
