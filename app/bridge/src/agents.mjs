// Agents of the SDK, each with what it knows of a conversation. One that rests after a run is found again by a
// request that goes on where it stopped; it is told only what is new. One whose run failed is thrown away.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Agent, Cursor } from '@cursor/sdk';
import { heard, known } from './conversation.mjs';
import { createStore } from './store.mjs';

const MOST = 32; // agents that rest; the longest unused goes first
const REST = 30 * 60 * 1000; // ms an agent is kept without being used

const memory = createStore();
Cursor.configure({ local: { store: memory.store } });

/** The folder agents think they work in: empty, and nothing is ever done in it. */
function workspace() {
  const folder = join(process.env.HOME, 'workspace');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}

const cwd = workspace();
const selected = ({ key, model, params = [] }) => JSON.stringify([key, model, params]);
const owner = (request) => JSON.stringify([selected(request), request.session ?? null]);

/** Whether two requests are of one key for one model. */
export const alike = (one, other) => selected(one) === selected(other);

const resting = new Set(); // oldest first: {agent, owner, seen, since}

/** An agent for `request`, and how many of its turns that agent knows already; a new one if `fresh`. */
export async function open(request, fresh = false) {
  sweep();
  const found = fresh ? null : find(request);
  if (found) {
    resting.delete(found.line);
    return found;
  }
  return { line: { agent: await create(request), owner: owner(request), seen: [] }, count: 0 };
}

function find({ turns, ...request }) {
  const mine = owner(request);
  const lines = [...resting].filter((line) => line.owner === mine && line.seen.length < turns.length);
  if (lines.length === 0) return null;
  const marks = heard(turns);
  let best = null;
  for (const line of lines) {
    const count = known(line.seen, turns, marks);
    if (count > (best?.count ?? 0)) best = { line, count };
  }
  return best;
}

function create({ key, model, params = [] }) {
  return Agent.create({
    apiKey: key,
    model: { id: model, params },
    tools: ['mcp'],
    // Retries of the SDK's own replay a turn, text and tool calls twice.
    local: { cwd, settingSources: [], enableAgentRetries: false },
  });
}

/** Keep an agent for the next request; `seen` is what it knows now. */
export function rest(line, seen) {
  resting.add(Object.assign(line, { seen, since: Date.now() }));
  sweep();
}

/** Throw an agent away, and everything kept for it. */
export async function discard({ agent }) {
  agent.close();
  await memory.forget(agent.agentId);
}

function sweep() {
  for (const line of resting) {
    if (resting.size <= MOST && Date.now() - line.since < REST) return;
    resting.delete(line);
    discard(line).catch(() => {});
  }
}

setInterval(sweep, 60_000).unref();

export const counts = () => ({ resting: resting.size, stored: memory.size() });
