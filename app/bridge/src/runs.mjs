// Runs: one prompt to one agent, its output handed on as events.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Agent, Cursor } from '@cursor/sdk';
import { render } from './conversation.mjs';
import * as guard from './guard.mjs';
import { failure, fromError, fromMessage } from './failures.mjs';
import { createStore } from './store.mjs';

const memory = createStore();
Cursor.configure({ local: { store: memory.store } });

/** The folder agents think they work in: empty, and nothing is ever done in it. */
function workspace() {
  const folder = join(process.env.HOME, 'workspace');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}

const cwd = workspace();

function createAgent({ key, model, params = [] }) {
  return Agent.create({
    apiKey: key,
    model: { id: model, params },
    tools: ['mcp'],
    // Retries of the SDK's own replay a turn, text and tool calls twice.
    local: { cwd, settingSources: [], enableAgentRetries: false },
  });
}

async function discard(agent) {
  agent.close();
  await memory.forget(agent.agentId);
}

/** What a run reports: `{event: "text" | "thinking", text}`, once `{event: "done", usage?}` or
 *  `{event: "failed", kind, message, retryable}`. */
class Run {
  #send;
  #ended = false; // the last event is out; what the SDK still says is nobody's business
  #handle = null;

  constructor(send) {
    this.#send = send;
  }

  async go(request) {
    const timer = setTimeout(() => this.stop(failure('timeout', 'the run took too long')), request.timeout_ms);
    let agent = null;
    try {
      agent = await createAgent(request);
      if (!this.#ended) await this.#converse(agent, render(request.turns, request.constraints));
    } catch (error) {
      this.#fail(fromError(error));
    } finally {
      clearTimeout(timer);
      if (agent) await discard(agent);
    }
  }

  /** Report `reason` at once and end the run at the backend. */
  stop(reason) {
    this.#fail(reason);
    this.#handle?.cancel().catch(() => {});
  }

  async #converse(agent, prompt) {
    this.#handle = await agent.send(prompt, { onDelta: ({ update }) => this.#update(update) });
    if (this.#ended) await this.#handle.cancel(); // stopped while it was being sent
    this.#finish(await this.#handle.wait());
  }

  #update(update) {
    if (!guard.alive()) this.stop(failure('guard', 'output arrived past the guard against built-in tools'));
    if (update.type === 'text-delta') this.#emit({ event: 'text', text: update.text });
    if (update.type === 'thinking-delta') this.#emit({ event: 'thinking', text: update.text });
  }

  #finish({ status, error, usage }) {
    if (status === 'finished') this.#emit({ event: 'done', usage: usage ?? null }, true);
    else if (status === 'cancelled') this.#fail(failure('cancelled', 'the run was cancelled'));
    else this.#fail(fromMessage(error?.message));
  }

  #fail(reason) {
    this.#emit({ event: 'failed', ...reason }, true);
  }

  #emit(event, last = false) {
    if (this.#ended) return;
    this.#ended = last;
    this.#send(event);
  }
}

/** The runs under way, by the id their request gave. */
export class Runs {
  #running = new Map();

  async start({ id, ...request }, send) {
    const run = new Run((event) => send({ id, ...event }));
    this.#running.set(id, run);
    try {
      await run.go(request);
    } finally {
      this.#running.delete(id);
    }
  }

  cancel({ id }) {
    this.#running.get(id)?.stop(failure('cancelled', 'the run was cancelled'));
  }

  status() {
    return { running: this.#running.size, stored: memory.size(), refusals: guard.refusals() };
  }
}
