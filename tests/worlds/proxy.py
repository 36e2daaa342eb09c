"""A proxy that asks for a password, by the rules of the configuration of nginx in docs/security.md.

What belongs here: a log-in (HTTP basic), the headers that are handed on, bytes both ways.
It speaks no TLS; nginx itself is not tried.
"""

import base64
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

UNAUTHORIZED = b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="bars"\r\nContent-Length: 0\r\n\r\n'


@contextmanager
def in_front_of(port: int, user: str, password: str) -> Iterator[int]:
    """A proxy in front of a port of 127.0.0.1; its own port."""
    token = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            head, rest = read_head(self.request)
            first, *lines = head.split("\r\n")
            headers = [tuple(line.split(": ", 1)) for line in lines]
            if ("authorization", token) not in [(name.lower(), value) for name, *(value,) in headers]:
                self.request.sendall(UNAUTHORIZED)
                return
            kept = [
                (name, value) for name, value in headers if name.lower() not in ("authorization", "connection")
            ]
            upgrade = any(name.lower() == "upgrade" for name, _ in kept)
            kept.append(("Connection", "upgrade" if upgrade else "close"))
            with socket.create_connection(("127.0.0.1", port)) as upstream:
                upstream.sendall("\r\n".join([first, *map(": ".join, kept), "", ""]).encode() + rest)
                threading.Thread(target=pump, args=(self.request, upstream), daemon=True).start()
                pump(upstream, self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def read_head(connection: socket.socket) -> tuple[str, bytes]:
    """The request line with the headers, and what came behind them."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, rest = received.partition(b"\r\n\r\n")
    return head.decode("latin-1"), rest


def pump(source: socket.socket, target: socket.socket) -> None:
    """Hand on all bytes until one side has closed."""
    try:
        while received := source.recv(65536):
            target.sendall(received)
    except OSError:  # the other side has closed
        return
