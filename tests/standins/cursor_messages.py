"""Messages of agent.v1, by their field numbers in @cursor/sdk 1.0.31."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.standins import cursor_wire as wire
from tests.standins.cursor_kinds import Kind, guess
from tests.standins.cursor_wire import block, integer, json_value

CUSTOM_TOOLS = "custom-user-tools"
SLEEP = 7.25  # seconds; an odd number, to be found among processes

# Kinds of agent.v1.ExecServerMessage, by field number. The whole list is the SDK's: see cursor_kinds.
REQUEST_CONTEXT = 10
MCP = 11
MCP_STATE = 36
HARMLESS = {REQUEST_CONTEXT, MCP_STATE}  # answered from nothing but the client's own words


def update(inner: bytes) -> bytes:
    """AgentServerMessage.interaction_update."""
    return block(1, inner)


def text_delta(text: str) -> bytes:
    return update(block(1, block(1, text)))


def thinking_delta(text: str) -> bytes:
    return update(block(4, block(1, text)))


def thinking_completed(milliseconds: int) -> bytes:
    return update(block(5, integer(1, milliseconds)))


def heartbeat() -> bytes:
    return update(block(13))


def turn_ended(
    input_tokens: int = 1, output_tokens: int = 1, cache_read: int = 0, cache_write: int = 0
) -> bytes:
    counts = (input_tokens, output_tokens, cache_read, cache_write)
    return update(block(14, b"".join(integer(field, count) for field, count in enumerate(counts, 1))))


def turn_ended_uncounted() -> bytes:
    return update(block(14))


def tool_started(call_id: str, call: bytes) -> bytes:
    return update(block(2, block(1, call_id) + block(2, call)))


def tool_completed(call_id: str, call: bytes) -> bytes:
    return update(block(3, block(1, call_id) + block(2, call)))


def checkpoint(state: bytes) -> bytes:
    return block(3, state)


def execute(number: int, kind: int, arguments: bytes) -> bytes:
    """AgentServerMessage.exec_server_message: do something of `kind` and report under `number`."""
    return block(2, integer(1, number) + block(15, f"exec-{number}") + block(kind, arguments))


def interaction_query(number: int, field: int, arguments: bytes = b"") -> bytes:
    return block(7, integer(1, number) + block(field, arguments))


def tool_arguments(
    tool: str, arguments: Mapping[str, object], call_id: str, provider: str = CUSTOM_TOOLS
) -> bytes:
    """McpArgs: the call of a tool that `provider` offers."""
    pairs = (block(2, block(1, key) + block(2, json_value(value))) for key, value in arguments.items())
    names = block(1, f"{provider}-{tool}"), block(3, call_id), block(4, provider), block(5, tool)
    return names[0] + b"".join(pairs) + b"".join(names[1:])


def tool_result(reply: bytes) -> str:
    """The text in a client's answer to MCP: ExecClientMessage.mcp_result.success.content.text.text."""
    executed = wire.decode(wire.blob(wire.decode(reply), 2))
    success = wire.decode(wire.blob(wire.decode(wire.blob(executed, MCP)), 1))
    return " ".join(wire.text(content, 1, 1) for content in wire.messages(success, 1))


def mcp_call(arguments: bytes) -> bytes:
    """ToolCall.mcp_tool_call, as it stands in the updates around a call."""
    return block(15, block(1, arguments))


def shell(command: str, call_id: str) -> bytes:
    return block(1, command) + integer(3, 8000) + block(4, call_id) + block(8) + integer(12, 1)


def attempts_of(
    arguments: Mapping[str, str], base_url: str, kinds: Sequence[Kind]
) -> list[tuple[int, bytes]]:
    """`attempts` as a scenario's arguments say."""
    url = f"{base_url}/probe/fetched"
    return attempts(kinds, arguments["folder"], arguments["secret"], url, arguments.get("call", "c"))


def attempts(kinds: Sequence[Kind], folder: str, secret: str, url: str, call: str) -> list[tuple[int, bytes]]:
    """Everything a hostile backend would ask for, aimed at `folder`, the file `secret` and the address `url`.

    Effects, if one is obeyed: files named `made-*` in `folder`, its file `victim` changed or gone, the secret
    in an answer, a request at `url`, a process that sleeps for SLEEP seconds. Kinds that are not known here
    get arguments guessed from the names of their fields.
    """
    made, victim = f"{folder}/made-{{}}", f"{folder}/victim"
    command = f"echo x > {folder}/made-{{}}; cat {secret}; sleep {SLEEP}"
    exact: dict[int, bytes] = {
        2: shell(command.format("shell"), f"{call}2"),
        14: shell(command.format("stream"), f"{call}14"),
        52: shell(command.format("mini"), f"{call}52"),
        46: block(1, command.format("pi")),
        16: block(1, command.format("spawn")) + block(3, f"{call}16") + block(4) + integer(12, 1),
        3: block(1, made.format("write")) + block(2, "x") + block(3, f"{call}3"),
        48: block(1, made.format("pi-write")) + block(2, "x"),
        47: block(1, victim) + block(2, block(1, "original") + block(2, "edited")),
        4: block(1, victim) + block(2, f"{call}4"),
        7: block(1, secret) + block(2, f"{call}7"),
        29: block(1, secret) + block(2, f"{call}29"),
        45: block(1, secret),
        5: block(1, "TOPSECRET") + block(2, folder) + block(4, "content") + block(14, f"{call}5"),
        49: block(1, "TOPSECRET") + block(2, folder),
        8: block(1, folder) + block(3, f"{call}8"),
        50: block(1, "*.txt") + block(2, folder),
        51: block(1, folder),
        20: block(1, url) + block(2, f"{call}20"),
        18: block(1, "evil") + block(2, f"file://{secret}") + block(3, made.format("resource")),
        11: tool_arguments("x", {"a": 1}, f"{call}11", provider="evil"),
        28: block(1, f"{call}28") + block(2, "generalPurpose") + block(3, "composer-2.5") + block(4, "go"),
        27: block(1, block(4, block(1, "Shell") + block(3, "tu1"))),
        44: block(1, folder) + block(2, "HEAD") + block(3, "HEAD") + integer(7, 10),
        37: block(1, "nope") + integer(2, 100),
    }  # fmt: skip

    def arguments(kind: Kind) -> bytes:
        guessed = guess(kind, path=made.format(kind.name), command=command.format(kind.name), url=url)
        return exact.get(kind.number, guessed)

    return [(kind.number, arguments(kind)) for kind in kinds if kind.number not in HARMLESS]
