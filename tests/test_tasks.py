"""What holds for every task: a wrong word on the command line is answered, not crashed at."""

from __future__ import annotations

import inspect

import pytest

from errors import Exit, Fault
from release.tasks.common import whole
from tasks import namespace


def test_no_task_leaves_numbers_to_invoke() -> None:
    """Invoke converts to a default's type, and ends in a traceback where that can't be done."""
    numbers = {
        f"{name} --{option.name}"
        for name in namespace.task_names
        for option in inspect.signature(inspect.unwrap(namespace[name].body)).parameters.values()
        if isinstance(option.default, int | float) and not isinstance(option.default, bool)
    }
    assert numbers == set()


def test_a_word_in_place_of_a_number() -> None:
    with pytest.raises(Fault, match="--port x is no number") as caught:
        whole("x", "--port")
    assert caught.value.status is Exit.USAGE
    assert whole("8788", "--port") == 8788
