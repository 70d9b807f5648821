"""The routes of the pages. Everything a page loads comes from this site."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from worker import hosted
from worker.ports import Unavailable
from worker.ranges import is_known
from worker.requests import ports_of, site_of
from worker.site import offer

FOLDER: Final = Path(__file__).resolve().parent
POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "strict-origin-when-cross-origin",
    "cache-control": "public, max-age=60, stale-while-revalidate=300",
}
BASE_URL: Final = "http://127.0.0.1:8787/v1"
AGENTS: Final = (
    ("OpenCode", "opencode.json"),
    ("Codex", "config.toml, two profiles"),
    ("VS Code", "chatLanguageModels.json"),
    ("Cline", "its provider settings"),
    ("Kilo Code", "kilo.jsonc"),
    ("pi", "models.json"),
    ("Continue", "config.yaml"),
    ("Aider", ".aider.conf.yml"),
    ("Roo Code", "a settings profile"),
)
ENDPOINTS: Final = (
    ("POST", "/chat/completions", "Chat, streamed or not, with tools, pictures and JSON schemas"),
    ("POST", "/responses", "Responses that remember what was said before"),
    ("GET", "/models", "Composer 2.5 and Composer 2.5 Fast"),
)

_templates = Environment(
    loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined
)


async def landing(request: Request) -> Response:
    """Show the landing page."""
    ports = ports_of(request)
    found = await offer.current(ports.releases)
    joined = request.query_params.get("joined") == "1"
    return _html(request, "landing.html", offer=found, hosted=hosted.enabled(ports.settings), joined=joined)


async def release(request: Request) -> Response:
    """Tell what is new in one version."""
    store = ports_of(request).releases
    if store is None:
        raise Unavailable("no bucket is bound")
    found = await offer.of_version(store, request.path_params["version"])
    if found is None:
        raise HTTPException(404)
    return _html(request, "release.html", offer=found, newest=await offer.current(store))


async def setup(request: Request) -> Response:
    """Tell agents and people who read plain text how to set things up."""
    text = _render(request, "setup.md")
    return Response(text, headers={**HEADERS, "content-type": "text/markdown; charset=utf-8"})


async def robots(request: Request) -> Response:
    """Let crawlers read the pages, and leave the rest."""
    rules = "".join(f"Disallow: {path}\n" for path in ("/api/", "/v1/", "/u/"))
    text = f"User-agent: *\n{rules}Sitemap: {site_of(request)}/sitemap.xml\n"
    return Response(text, media_type="text/plain", headers=HEADERS)


async def sitemap(request: Request) -> Response:
    """List the pages."""
    found = await offer.current(ports_of(request).releases)
    paths = ["/", "/setup.md", *([found.page] if found and found.page else ())]
    urls = "".join(f"<url><loc>{site_of(request)}{path}</loc></url>" for path in paths)
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</urlset>'
    )
    return Response(text, media_type="application/xml", headers=HEADERS)


def _html(request: Request, name: str, **values: Any) -> Response:
    body = _render(request, name, path=request.url.path, **values).encode()
    headers = {**HEADERS, "etag": f'"{hashlib.sha256(body).hexdigest()[:32]}"'}
    if is_known(request.headers.get("if-none-match", ""), headers["etag"]):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="text/html", headers=headers)


def _render(request: Request, name: str, **values: Any) -> str:
    shared = {"site": site_of(request), "base_url": BASE_URL, "agents": AGENTS, "endpoints": ENDPOINTS}
    return _templates.get_template(name).render(**shared, **values)


ROUTES = [
    Route("/", landing, methods=["GET"]),
    Route("/releases/{version}/", release, methods=["GET"]),
    Route("/setup.md", setup, methods=["GET"]),
    Route("/robots.txt", robots, methods=["GET"]),
    Route("/sitemap.xml", sitemap, methods=["GET"]),
]
