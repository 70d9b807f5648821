"""Errors in OpenAI's shape: {"error": {message, type, param, code}} and an HTTP status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

INVALID = "invalid_request_error"


@dataclass(slots=True)
class ApiError(Exception):
    """An answer other than success. Clients' libraries turn the status into their typed exceptions."""

    status: int
    message: str
    type: str = INVALID
    param: str | None = None
    code: str | None = None

    def __str__(self) -> str:
        return self.message

    def body(self) -> dict[str, Any]:
        """Give the response body."""
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": error}


def invalid(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """Refuse a request that is wrong: 400."""
    return ApiError(400, message, param=param, code=code)


def unsupported(message: str, param: str) -> ApiError:
    """Refuse what OpenAI has and this server has not: 400 unsupported_parameter."""
    return ApiError(400, message, param=param, code="unsupported_parameter")


def no_such_model(name: str) -> ApiError:
    """Refuse a model this server does not have: 404 as OpenAI words its code."""
    return ApiError(404, f"The model {name!r} does not exist.", param="model", code="model_not_found")
