"""GitHub, as far as finishing a release needs it: dispatches, and artifacts that come back as zips."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs

import requests

from release.rehearsal.apple_http import Request, Response, Server, as_json


@dataclass
class GitHub:
    """One repository. A context manager: serves between enter and exit. `token` is what may dispatch."""

    token: str
    repository: str = "someone/app"
    events: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[tuple[str, str], bytes] = field(default_factory=dict)
    _server: Server | None = None

    def __enter__(self) -> GitHub:
        self._server = Server(self._answer)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server:
            self._server.close()

    @property
    def url(self) -> str:
        assert self._server is not None
        return self._server.url

    def upload(self, run: str, name: str, folder: Path) -> None:
        """Keep an artifact as upload-artifact does: a zip of what is in the folder, without modes."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                archive.writestr(path.relative_to(folder).as_posix(), path.read_bytes())
        self.artifacts[run, name] = packed.getvalue()

    def download(self, run: str, name: str, folder: Path) -> bool:
        """Do as download-artifact does: find it by run and name, unpack it; False if there is none."""
        base = f"{self.url}/repos/{self.repository}/actions"
        headers = {"Authorization": f"Bearer {self.token}"}
        listed = requests.get(
            f"{base}/runs/{run}/artifacts", {"name": name}, headers=headers, timeout=10
        ).json()["artifacts"]
        for artifact in listed:
            packed = requests.get(artifact["archive_download_url"], headers=headers, timeout=60)
            with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
                archive.extractall(folder)
        return bool(listed)

    def event(self, number: int = -1) -> dict[str, Any]:
        """The event's file as a workflow finds it."""
        sent = self.events[number]
        return {"action": sent["event_type"], "client_payload": sent["client_payload"], "branch": "main"}

    def _answer(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return as_json({"message": "Bad credentials"}, 401)
        base = f"/repos/{self.repository}"
        parts = request.path.removeprefix(f"{base}/actions/").split("/")
        if (request.method, request.path) == ("POST", f"{base}/dispatches"):
            return self._dispatched(json.loads(request.body()))
        if parts[0] == "runs" and parts[2:] == ["artifacts"]:
            return self._listed(parts[1], parse_qs(request.query)["name"][0])
        if parts[0] == "artifacts" and parts[3:] == ["zip"]:
            return Response(200, self.artifacts[parts[1], parts[2]], "application/zip")
        return as_json({"message": "Not Found"}, 404)

    def _dispatched(self, body: dict[str, Any]) -> Response:
        if not isinstance(body.get("client_payload"), dict) or len(body["client_payload"]) > 10:
            return as_json({"message": "Invalid request"}, 422)
        self.events.append(body)
        return Response(204)

    def _listed(self, run: str, name: str) -> Response:
        found = []
        if (run, name) in self.artifacts:
            where = f"{self.url}/repos/{self.repository}/actions/artifacts/{run}/{name}/zip"
            found.append({"name": name, "archive_download_url": where})
        return as_json({"total_count": len(found), "artifacts": found})
