"""A server on an event loop in a thread of its own, begun and ended by a `with` statement."""

from __future__ import annotations

import asyncio
import threading
from typing import Self

_PATIENCE = 30.0


class Listening:
    """Accepts connections on a free port of loopback, each handled by `_connection`; all end with the `with` block.

    Args:
        port: The port; 0 for any that is free. It stays the same when the server is started again.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.connections = 0

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to listen."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=type(self).__name__, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(_PATIENCE)

    def stop(self) -> None:
        """Cut all connections and refuse new ones, as a server that died does."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(_PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._connection(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the other side has gone, or this one ends
        finally:
            writer.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError
