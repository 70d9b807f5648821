"""All agents, in the order in which people see them."""

from __future__ import annotations

from app.agents import aider, cline, codex, continue_, kilo, opencode, pi, roo, vscode
from app.agents.model import Agent
from app.errors import AppError

AGENTS: tuple[Agent, ...] = (
    opencode.AGENT,
    codex.AGENT,
    vscode.AGENT,
    cline.AGENT,
    kilo.AGENT,
    pi.AGENT,
    continue_.AGENT,
    aider.AGENT,
    roo.AGENT,
)


def find(name: str) -> Agent:
    """Find an agent by its name, in any case; raises AppError."""
    wanted = name.strip().lower()
    for agent in AGENTS:
        if wanted in (agent.name, agent.title.lower()):
            return agent
    known = ", ".join(agent.name for agent in AGENTS)
    raise AppError(f"there is no agent {name!r}", cure=f"known are {known}", status=2)
