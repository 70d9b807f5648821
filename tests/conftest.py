"""What tests of several folders share: one checkout with one finished release; and the tests' ids."""

from __future__ import annotations

import pytest

from tests.checkouts import Checkout, copy_checkout


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name long values by their length: ids are in the environment of what tests start, which is bounded."""
    return f"{argname} of {len(val)}" if isinstance(val, str | bytes) and len(val) > 200 else None


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """One checkout with one finished release. Whoever changes it takes a copy; group "release" shares it."""
    made = copy_checkout(tmp_path_factory.mktemp("checkout"))
    made.output = made.release()
    return made
