"""An address that takes requests and never passes them on: for the moment before a submit reaches its service."""

from __future__ import annotations

import socketserver
import threading
from types import TracebackType
from typing import Any, Self


class Blackhole:
    """Listens on loopback, keeps what it is sent and never answers. A context manager."""

    def __enter__(self) -> Self:
        self.swallowed: list[bytearray] = []
        self._over = threading.Event()

        class Swallow(socketserver.BaseRequestHandler):
            def handle(handler: Any) -> None:
                handler.request.settimeout(0.2)
                content = bytearray()
                self.swallowed.append(content)
                while not self._over.is_set():
                    try:
                        if not (part := handler.request.recv(65536)):
                            return
                        content += part
                    except TimeoutError:
                        continue
                    except OSError:
                        return

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", 0), Swallow)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def has(self, text: str) -> bool:
        """Tell whether a request with that text has been swallowed."""
        return any(text.encode() in content for content in list(self.swallowed))
