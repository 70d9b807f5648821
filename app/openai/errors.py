"""Errors in OpenAI's shape: {"error": {message, type, param, code}} and an HTTP status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

INVALID = "invalid_request_error"


@dataclass(slots=True)
class ApiError(Exception):
    """An answer other than success. Clients' libraries turn the status into their typed exceptions.

    `retry` False tells OpenAI's own clients not to repeat a request that they otherwise would.
    """

    status: int
    message: str
    type: str = INVALID
    param: str | None = None
    code: str | None = None
    retry: bool = True

    def __str__(self) -> str:
        return self.message

    def body(self) -> dict[str, Any]:
        """Give the response body."""
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": error}

    def headers(self) -> dict[str, str]:
        """Give the response headers that belong to it."""
        return {} if self.retry else {"x-should-retry": "false"}


def invalid(message: str, param: str | None = None, code: str = INVALID) -> ApiError:
    """Refuse a request that is wrong: 400."""
    return ApiError(400, message, param=param, code=code)


def unsupported(message: str, param: str) -> ApiError:
    """Refuse what OpenAI has and this server has not: 400 unsupported_parameter."""
    return ApiError(400, message, param=param, code="unsupported_parameter")


def no_such_model(name: str) -> ApiError:
    """Refuse a model this server does not have: 404 as OpenAI words its code."""
    return ApiError(404, f"The model {name[:100]!r} does not exist.", param="model", code="model_not_found")


def no_such_response(name: str, param: str | None = None) -> ApiError:
    """Refuse a response that is not kept (any more): 404."""
    message = f"There is no response {name[:100]!r}. The newest are kept, until the server ends."
    return ApiError(404, message, param=param, code="not_found")


def bad_output(problem: str) -> ApiError:
    """Give up on an answer that is not the JSON that was asked for, though the model was told twice."""
    message = f"The model's answer is not the JSON that was asked for, even after one correction: {problem}"
    return ApiError(502, message, type="server_error", code="invalid_model_output", retry=False)
