// Runs: one prompt to one agent, its output handed on as events.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Agent, Cursor } from '@cursor/sdk';
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
  #emit;
  #cancelled = null; // the failure to report instead of the SDK's
  #handle = null;

  constructor(emit) {
    this.#emit = emit;
  }

  async go(request) {
    const timer = setTimeout(() => this.stop(failure('timeout', 'the run took too long')), request.timeout_ms);
    let agent = null;
    try {
      agent = await createAgent(request);
      this.#check();
      this.#handle = await agent.send(request.prompt, { onDelta: ({ update }) => this.#update(update) });
      this.#check();
      this.#finish(await this.#handle.wait());
    } catch (error) {
      this.#fail(error === this ? this.#cancelled : fromError(error));
    } finally {
      clearTimeout(timer);
      if (agent) await discard(agent);
    }
  }

  /** End the run at the backend; it then reports `reason`. */
  stop(reason) {
    if (this.#cancelled) return;
    this.#cancelled = reason;
    this.#handle?.cancel().catch(() => {});
  }

  #check() {
    if (!this.#cancelled) return;
    this.#handle?.cancel().catch(() => {});
    throw this;
  }

  #update(update) {
    if (!guard.alive()) return this.stop(failure('guard', 'output arrived past the guard against built-in tools'));
    if (this.#cancelled) return;
    if (update.type === 'text-delta') this.#emit({ event: 'text', text: update.text });
    if (update.type === 'thinking-delta') this.#emit({ event: 'thinking', text: update.text });
  }

  #finish({ status, error, usage }) {
    if (this.#cancelled) this.#fail(this.#cancelled);
    else if (status === 'finished') this.#emit({ event: 'done', usage: usage ?? null });
    else if (status === 'cancelled') this.#fail(failure('cancelled', 'the run was cancelled'));
    else this.#fail(fromMessage(error?.message));
  }

  #fail(reason) {
    this.#emit({ event: 'failed', ...reason });
  }
}

/** The runs under way, by the id their request gave. */
export class Runs {
  #running = new Map();

  async start({ id, ...request }, send) {
    const run = new Run((event) => send({ id, ...event }));
    this.#running.set(id, run);
    await run.go(request);
    this.#running.delete(id);
  }

  cancel({ id }) {
    this.#running.get(id)?.stop(failure('cancelled', 'the run was cancelled'));
  }

  status() {
    return { running: this.#running.size, stored: memory.size(), refusals: guard.refusals() };
  }
}
