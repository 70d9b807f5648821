"""Usage and cost as they stand in answers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from app.cursor.prices import CURRENCY, Price, cost

CHARACTERS = 4  # to a token, where nobody counted


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer.

    `cached` is the part of `prompt` read from a cache, `written` the part put into it, `reasoning` what the
    model spent on thinking; `estimated` tells that they were counted here, by length.
    """

    prompt: int
    completion: int
    cached: int = 0
    written: int = 0
    reasoning: int = 0
    estimated: bool = False

    def __add__(self, other: Usage) -> Usage:
        """Give the tokens of two runs for one answer."""
        return Usage(
            self.prompt + other.prompt,
            self.completion + other.completion,
            self.cached + other.cached,
            self.written + other.written,
            self.reasoning + other.reasoning,
            self.estimated or other.estimated,
        )


def estimate(prompt: int, completion: int) -> Usage:
    """Estimate from the texts' lengths in characters."""
    return Usage(tokens(prompt), tokens(completion), estimated=True)


def tokens(characters: int) -> int:
    """Estimate tokens: one for four characters, at least one."""
    return max(1, math.ceil(characters / CHARACTERS))


def chat_usage(usage: Usage, price: Price) -> dict[str, Any]:
    """Give the `usage` object of a chat completion, with what it cost."""
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": 0},
        "cost": _cost(usage, price),
    }


def responses_usage(usage: Usage, price: Price) -> dict[str, Any]:
    """Give the `usage` object of a response, with what it cost."""
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.written},
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.prompt + usage.completion,
        "cost": _cost(usage, price),
    }


def _cost(usage: Usage, price: Price) -> dict[str, Any]:
    spent = cost(price, input_tokens=usage.prompt, output_tokens=usage.completion)
    return {
        "currency": CURRENCY,
        "estimated": usage.estimated,
        "input_usd": spent.input,
        "output_usd": spent.output,
        "total_usd": spent.total,
        "pricing": {"input_per_million_usd": price.input, "output_per_million_usd": price.output},
    }
