"""The models this app serves, under the names people type."""

from __future__ import annotations

from dataclasses import dataclass

from app.cursor.prices import Price

OWNER = "cursor"


@dataclass(frozen=True, slots=True)
class Model:
    """A model as the API names it, and as the SDK selects it.

    `context` and `output` are limits in tokens; `created` is epoch seconds of its release.
    """

    id: str
    sdk_id: str
    fast: bool
    price: Price
    created: int
    context: int = 200_000
    output: int = 65_536

    @property
    def params(self) -> tuple[dict[str, str], ...]:
        """The SDK's model parameters."""
        return ({"id": "fast", "value": "true" if self.fast else "false"},)


COMPOSER = Model("composer-2.5", "composer-2.5", False, Price(0.5, 2.5), 1_767_225_600)
COMPOSER_FAST = Model("composer-2.5-fast", "composer-2.5", True, Price(3.0, 15.0), 1_767_225_600)
MODELS: tuple[Model, ...] = (COMPOSER, COMPOSER_FAST)
DEFAULT = COMPOSER


def resolve(name: str | None) -> Model | None:
    """Find the model for `name` as people and agents spell it, or None.

    A provider before a slash, a dash for the dot, and a trailing "-sdk" are fine; nothing means the default.
    """
    if not name or not name.strip():
        return DEFAULT
    return _SPELLINGS.get(_plain(name))


def _plain(name: str) -> str:
    return name.strip().lower().rpartition("/")[2].removesuffix("-sdk").replace(".", "-")


_SPELLINGS = {_plain(model.id): model for model in MODELS}
