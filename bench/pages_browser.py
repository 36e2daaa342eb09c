"""The browser's side of `pages.py`: runs in an environment of its own, visits pages and says what they took.

What belongs here: opening a page until it is still. Kept elsewhere: which pages (`pages.py`).
"""

import json
import statistics
import sys
import time
from typing import Any

from playwright.sync_api import BrowserContext, Request, sync_playwright

VISITS = 3
STILL = 0.5
"""Seconds without a question: then a page is there. What it asks again later, it asks every few seconds."""

OFFLINE = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def main(program: str, pages: dict[str, str]) -> None:
    """Visit pages, and print the seconds of each and of its slowest question."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=OFFLINE)
        context = browser.new_context()
        found = {name: visited(context, address) for name, address in pages.items()}
        browser.close()
    print(json.dumps(found))


def visited(context: BrowserContext, address: str) -> dict[str, Any]:
    """Medians of several visits of a page, the first of which is not counted."""
    visits = [visit(context, address) for _ in range(VISITS + 1)][1:]
    question, slowest = max((asked for _, asked in visits), key=lambda asked: asked[1])
    return {
        "seconds": statistics.median(seconds for seconds, _ in visits),
        "question": question,
        "slowest": slowest,
    }


def visit(context: BrowserContext, address: str) -> tuple[float, tuple[str, float]]:
    """Seconds until a page is still, and its slowest question with its seconds."""
    page = context.new_page()
    open_since: dict[Request, float] = {}
    questions = [("none", 0.0)]
    quiet_since = [time.perf_counter()]

    def began(request: Request) -> None:
        if request.resource_type != "websocket":
            open_since[request] = time.perf_counter()

    def ended(request: Request) -> None:
        now = quiet_since[0] = time.perf_counter()
        if (since := open_since.pop(request, None)) is not None and "/graphql" in request.url:
            questions.append((json.loads(request.post_data or "{}").get("operationName", "?"), now - since))

    page.on("request", began)
    page.on("requestfinished", ended)
    page.on("requestfailed", ended)
    clicked = time.perf_counter()
    page.goto(address, wait_until="domcontentloaded")
    while open_since or time.perf_counter() - quiet_since[0] < STILL:
        page.wait_for_timeout(20)
        if time.perf_counter() - clicked > 60:
            break
    seconds = quiet_since[0] - clicked
    page.close()
    return seconds, max(questions, key=lambda asked: asked[1])


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
