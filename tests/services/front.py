"""A web server and an events process behind the splitter, on one port: what ``make run`` serves."""

import asyncio
import socket
import threading
from pathlib import Path

from cnaasjobs.run.splitter import Splitter
from tests.services.processes import Platform
from tests.waiting import wait_until


class Front:
    """A web server on a port of its own and, with an events process, behind the splitter."""

    def __init__(self, platform: Platform, directory: Path) -> None:
        web, self._events = directory / "w.sock", directory / "e.sock"
        self.platform = platform
        platform.web(options=["--bind", f"unix:{web}", "--proxy-protocol=v1"])
        self.start_events()
        self.direct = int(platform.url.rpartition(":")[2])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._loop = asyncio.new_event_loop()
        splitter = Splitter(web=str(web), events=str(self._events))
        self._server = self._loop.run_until_complete(_serve(splitter, self._listener))
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def start_events(self) -> None:
        self.events = self.platform.events(bind=f"unix:{self._events}", proxied=True)
        wait_until(self._events.exists, timeout=60, message=self.events.output)

    def stop_events(self) -> None:
        self.events.stop()
        self._events.unlink(missing_ok=True)

    def stop(self) -> None:
        self.platform.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._server.close()
        self._loop.run_until_complete(_cancelled())
        self._loop.close()
        self._listener.close()


async def _serve(splitter: Splitter, listener: socket.socket) -> asyncio.Server:
    return await asyncio.start_server(splitter.serve, sock=listener)


async def _cancelled() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
