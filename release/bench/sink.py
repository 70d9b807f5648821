"""An S3 server that takes whatever it is sent and keeps nothing: what is measured is who sends.

It answers one upload in parts as S3 does, with etags that mean nothing. Prints its address and runs until it
is ended.
"""

from __future__ import annotations

import sys
from socketserver import StreamRequestHandler, ThreadingTCPServer

NO_ETAG = "0" * 32
BEGUN = "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
COMPLETED = f"<CompleteMultipartUploadResult><ETag>{NO_ETAG}</ETag></CompleteMultipartUploadResult>"


class _Connection(StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        self._buffer = memoryview(bytearray(1 << 20))
        while line := self.rfile.readline():
            method, path, _ = line.decode("latin-1").split(" ", 2)
            headers = dict(self._headers())
            if "expect" in headers:
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._drop(int(headers.get("content-length", 0)))
            self.wfile.write(_answer(method, path))

    def _headers(self) -> list[tuple[str, str]]:
        found = []
        while line := self.rfile.readline().strip().decode("latin-1"):
            name, _, value = line.partition(":")
            found.append((name.lower(), value.strip()))
        return found

    def _drop(self, left: int) -> None:
        while left:
            left -= self.rfile.readinto(self._buffer[:left])


def _answer(method: str, path: str) -> bytes:
    body = "" if method != "POST" else BEGUN if "uploads" in path else COMPLETED
    status = "404 Not Found" if method == "HEAD" else "200 OK"
    head = f'HTTP/1.1 {status}\r\nETag: "{NO_ETAG}"\r\nContent-Type: application/xml\r\n'
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


class _Server(ThreadingTCPServer):
    daemon_threads = True


def main() -> None:
    """Run."""
    with _Server(("127.0.0.1", 0), _Connection) as server:
        sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
