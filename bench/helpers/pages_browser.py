"""The browser's side of `pages.py`: runs in an environment of its own, visits pages and says what they took.

What belongs here: opening a page until it is still. Kept elsewhere: which pages (`pages.py`).
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import BrowserContext, Page, Request, sync_playwright

VISITS = 3
STILL = 1.0
"""Seconds without a question: then a page is there. What it asks again later, it asks every few seconds."""

ELSEWHERE = "/config"
"""A page of the UI that shows nothing of assets and runs: there a click begins."""

GO = """path => { history.pushState({}, '', path); dispatchEvent(new PopStateEvent('popstate', {state: {}})) }"""
"""What a click on a link of the UI does."""

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
    """Medians of several visits of a page, the first of which is not counted: by a click, and in a new tab."""
    found: dict[str, Any] = {}
    questions: list[tuple[str, float]] = []
    for way in (clicked, in_a_new_tab):
        visits = [way(context, address) for _ in range(VISITS + 1)][1:]
        found[way.__name__] = statistics.median(seconds for seconds, _ in visits)
        questions += [asked for _, asked in visits]
    question, slowest = max(questions, key=lambda asked: asked[1])
    return found | {"question": question, "slowest": slowest}


def clicked(context: BrowserContext, address: str) -> tuple[float, tuple[str, float]]:
    """Seconds from a click in an open UI until the page is still, and its slowest question."""
    page = context.new_page()
    server, _, path = address.partition("//")[2].partition("/")
    path, _, tab = path.partition("#")
    still(page, lambda: page.goto(f"http://{server}{ELSEWHERE}", wait_until="domcontentloaded"))
    found = still(page, lambda: page.evaluate(GO, f"/{path}"))
    if tab:
        found = still(page, lambda: page.get_by_text(tab, exact=True).last.click())
    page.close()
    return found


def in_a_new_tab(context: BrowserContext, address: str) -> tuple[float, tuple[str, float]]:
    """Seconds until a page is still in a new tab, the start of the UI included, and its slowest question."""
    page = context.new_page()
    address, _, tab = address.partition("#")
    found = still(page, lambda: page.goto(address, wait_until="domcontentloaded"))
    if tab:
        then = still(page, lambda: page.get_by_text(tab, exact=True).last.click())
        found = found[0] + then[0], max(found[1], then[1], key=lambda asked: asked[1])
    page.close()
    return found


def still(page: Page, go: Callable[[], object]) -> tuple[float, tuple[str, float]]:
    """Seconds from going somewhere until nothing is asked any more, and the slowest question with its seconds."""
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

    heard = {"request": began, "requestfinished": ended, "requestfailed": ended}
    for event, listener in heard.items():
        page.on(event, listener)
    gone = quiet_since[0] = time.perf_counter()
    go()
    while open_since or time.perf_counter() - quiet_since[0] < STILL:
        page.wait_for_timeout(20)
        if time.perf_counter() - gone > 60:
            break
    for event, listener in heard.items():
        page.remove_listener(event, listener)
    return quiet_since[0] - gone, max(questions, key=lambda asked: asked[1])


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
