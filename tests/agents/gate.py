"""A proxy that lets nothing out and remembers where programs wanted to go."""

from __future__ import annotations

import socketserver
import threading

REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Gate:
    """On loopback while it is open; `wanted` has the hosts that were asked for."""

    def __init__(self) -> None:
        self.wanted: set[str] = set()
        gate = self

        class Refuse(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                words = self.rfile.readline(8192).decode("ascii", "replace").split()
                if len(words) > 1:
                    gate.wanted.add(words[1].removeprefix("http://").partition("/")[0].partition(":")[0])
                self.wfile.write(REFUSAL)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refuse)
        self._server.daemon_threads = True

    @property
    def environment(self) -> dict[str, str]:
        """What makes programs go through it, but for loopback."""
        url = f"http://127.0.0.1:{self._server.server_address[1]}"
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        proxies = {form: url for name in names for form in (name, name.lower())}
        here = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
        return {**proxies, **here, "NODE_USE_ENV_PROXY": "1"}

    def __enter__(self) -> Gate:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
