"""A conversation as the one text that a Cursor agent takes."""

from __future__ import annotations

from collections.abc import Sequence

from app.openai.chat import Message

LABELS = {"system": "System", "user": "User", "assistant": "Assistant"}
CLOSING = "Answer the last message of the conversation above as the assistant. Give only the answer."


def flatten(messages: Sequence[Message]) -> str:
    """Write `messages` as one prompt. A single user message stands for itself."""
    if len(messages) == 1 and messages[0].role == "user":
        return messages[0].text
    turns = [f"{LABELS[message.role]}:\n{message.text}" for message in messages]
    return "\n\n".join((*turns, CLOSING))
