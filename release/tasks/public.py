"""What is public, and how to change it: tasks of the top level, which tasks.py takes from TASKS."""

from __future__ import annotations

from typing import Any

TASKS: tuple[Any, ...] = ()
