"""GET /v1/models and /v1/models/{id}."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.cursor.models import MODELS, OWNER, Model, resolve
from app.openai.errors import no_such_model
from app.server.answers import Json


def describe(model: Model) -> dict[str, Any]:
    """Give a model object; the limits are additions to OpenAI's shape."""
    return {
        "id": model.id,
        "object": "model",
        "created": model.created,
        "owned_by": OWNER,
        "context_window": model.context,
        "max_output_tokens": model.output,
    }


async def list_models(request: Request) -> Response:
    """Answer GET /v1/models.

    Codex asks with its version for a list of another form, and complains without it. It is left empty: what
    stands in it would replace Codex's own instructions to the model.
    """
    codex: dict[str, Any] = {"models": []} if "client_version" in request.query_params else {}
    return Json({"object": "list", "data": [describe(model) for model in MODELS], **codex})


async def get_model(request: Request) -> Response:
    """Answer GET /v1/models/{id}, in any spelling of the id."""
    name = request.path_params["id"]
    model = resolve(name)
    if model is None:
        raise no_such_model(name)
    return Json(describe(model))
