from __future__ import annotations

import pytest

from app.cursor.models import COMPOSER, COMPOSER_FAST, MODELS, Model, resolve
from app.cursor.prices import cost


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("composer-2.5", COMPOSER),
        ("openai/composer-2.5", COMPOSER),
        ("a/b/composer-2.5", COMPOSER),
        ("composer-2-5", COMPOSER),
        ("composer-2.5-sdk", COMPOSER),
        ("cursorapi/composer-2-5-sdk", COMPOSER),
        (" Composer-2.5 ", COMPOSER),
        ("composer-2.5-fast", COMPOSER_FAST),
        ("composer-2-5-fast-sdk", COMPOSER_FAST),
        ("", COMPOSER),
        (None, COMPOSER),
    ],
)
def test_spellings(name: str | None, model: Model) -> None:
    assert resolve(name) is model


@pytest.mark.parametrize("name", ["gpt-5", "composer-2.5-faster", "composer", "/", "composer-2.5/x"])
def test_unknown(name: str) -> None:
    assert resolve(name) is None


def test_fast_differs_by_a_parameter_only() -> None:
    assert {model.sdk_id for model in MODELS} == {"composer-2.5"}
    assert [model.params for model in MODELS] == [
        ({"id": "fast", "value": "false"},),
        ({"id": "fast", "value": "true"},),
    ]


def test_cost() -> None:
    spent = cost(COMPOSER_FAST.price, input_tokens=1_000_000, output_tokens=100_000)
    assert (spent.input, spent.output, spent.total) == (3.0, 1.5, 4.5)
