"""A slow network that cuts connections: a proxy between commands and the server of a place.

What belongs here: the proxy, which delays what passes, and cuts connections at random, with a seed.
"""

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

CHUNK = 65_536


@dataclass
class SlowNetwork:
    """A proxy from a TCP port to a Unix socket.

    Attributes:
        socket: Where the server listens.
        seconds: How long what is sent is under way.
        cuts: How many of the connections are cut, from 0 to 1.
        longest: A connection is cut within so many seconds.
        seed: Which ones, and when.
        port: Where it listens.
        cut: How many it has cut.
    """

    socket: str
    seconds: float
    cuts: float
    longest: float
    seed: int
    port: int = 0
    cut: int = 0
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    async def serve(self, ready: threading.Event, over: threading.Event) -> None:
        """Serve until it is over."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        while not over.is_set():
            await asyncio.sleep(0.05)
        server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(self.socket)
        lives = self._random.uniform(0.05, self.longest) if self._random.random() < self.cuts else None
        ways = [
            asyncio.ensure_future(self._carry(reader, to_server)),
            asyncio.ensure_future(self._carry(from_server, writer)),
        ]
        _, unfinished = await asyncio.wait(ways, timeout=lives, return_when=asyncio.FIRST_COMPLETED)
        self.cut += len(unfinished) == len(ways)
        for way in ways:
            way.cancel()
        for end in (writer, to_server):
            end.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one way: each piece arrives later, and in order."""
        loop, under_way = asyncio.get_running_loop(), asyncio.Queue[tuple[float, bytes]]()

        async def deliver() -> None:
            while True:
                at, data = await under_way.get()
                await asyncio.sleep(max(0.0, at - loop.time()))
                if not data:
                    return
                writer.write(data)
                await writer.drain()

        delivering = asyncio.ensure_future(deliver())
        try:
            with suppress(ConnectionError):
                while data := await reader.read(CHUNK):
                    under_way.put_nowait((loop.time() + self.seconds, data))
                under_way.put_nowait((loop.time() + self.seconds, b""))
                await delivering
        finally:
            delivering.cancel()


@contextmanager
def slow_network(socket: str, seconds: float, cuts: float, longest: float, seed: int) -> Iterator[SlowNetwork]:
    """A running proxy."""
    network, ready, over = SlowNetwork(socket, seconds, cuts, longest, seed), threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(network.serve(ready, over)))
    thread.start()
    assert ready.wait(10)
    try:
        yield network
    finally:
        over.set()
        thread.join()
