"""nginx in front of the UI, with the configuration that docs/security.md shows.

What belongs here: that text with the paths and ports of a test, a certificate, a file of users, and the program.
"""

import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs/security.md"
PROGRAMS = ("nginx", "htpasswd", "openssl")
NAME = "bars.example.com"
PATIENCE_SECONDS = 60

AROUND = """
daemon off; pid {folder}/pid; error_log {folder}/errors; {user}
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
{shown}
}}
"""


@contextmanager
def in_front_of(port: int, folder: Path, user: str, password: str) -> Iterator[tuple[int, ssl.SSLContext]]:
    """A proxy in front of a port of 127.0.0.1: its own port, and the certificates that know it.

    The test is skipped where a program is not installed.
    """
    if missing := [name for name in PROGRAMS if not shutil.which(name, path=_path())]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    folder.mkdir()
    _make_certificate(folder)
    _run("htpasswd", "-i", "-B", "-c", str(folder / "bars.users"), user, told=password)
    with socket.create_server(("127.0.0.1", 0)) as free:
        own = free.getsockname()[1]
    as_root = "user root;" if os.geteuid() == 0 else ""  # its workers read a folder that is closed to others
    config = folder / "nginx.conf"
    config.write_text(AROUND.format(folder=folder, user=as_root, shown=_shown(port, own, folder)))
    _run("nginx", "-t", "-q", "-c", str(config), "-p", str(folder), "-e", "stderr")
    command = ["nginx", "-c", str(config), "-p", str(folder), "-e", "stderr"]
    process = subprocess.Popen(command, env=os.environ | {"PATH": _path()})
    try:
        _await(own, process)
        yield own, ssl.create_default_context(cafile=str(folder / "bars.pem"))
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def _path() -> str:
    """Where programs are; those of an administrator are not on every user's path."""
    return f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"


def _shown(port: int, own: int, folder: Path) -> str:
    """The configuration of the page; what differs in a test must be there once, or twice."""
    found = re.search(r"```nginx\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    text = found[1]
    for shown, ours in {
        "listen 443 ssl;": f"listen 127.0.0.1:{own} ssl;",
        "/etc/nginx/bars.": f"{folder}/bars.",
        "http://127.0.0.1:3000;": f"http://127.0.0.1:{port};",
        NAME: NAME,
    }.items():
        assert shown in text, shown
        text = text.replace(shown, ours)
    return text


def _make_certificate(folder: Path) -> None:
    files = ("-keyout", str(folder / "bars.key"), "-out", str(folder / "bars.pem"))
    names = ("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}")
    _run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *names, *files)


def _run(*command: str, told: str = "") -> None:
    done = subprocess.run(command, input=told, text=True, capture_output=True, env=os.environ | {"PATH": _path()})
    assert done.returncode == 0, done.stderr


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        assert process.poll() is None, "nginx has ended"
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return
