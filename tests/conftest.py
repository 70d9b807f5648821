"""What tests of several folders share: one checkout with one finished release."""

from __future__ import annotations

import pytest

from tests.checkouts import Checkout, copy_checkout


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """One checkout with one finished release. Whoever changes it takes a copy; group "release" shares it."""
    made = copy_checkout(tmp_path_factory.mktemp("checkout"))
    made.output = made.release()
    return made
