// One run: from the request that starts it, through those that bring its tools' results, to its end. A request is
// answered with `{event: "text" | "thinking", text}`, perhaps `{event: "calls", calls}`, and last with
// `{event: "done", usage}` or `{event: "failed", kind, message, retryable}`.
import { setTimeout as sleep } from 'node:timers/promises';
import * as agents from './agents.mjs';
import { Calls } from './calls.mjs';
import { heard, render, results, said } from './conversation.mjs';
import { failure, fromError, fromMessage } from './failures.mjs';
import * as guard from './guard.mjs';
import { log } from './log.mjs';

const RUN_TIMEOUT = 180_000; // ms for one request; the client's own time with its tools does not count
const PARKED = 600_000; // ms a suspended run waits for results
const PAUSES = [300, 900]; // ms before a run is tried again
const LOST = new Set(['internal', 'unavailable', 'request', 'cancelled']);
const FAREWELL = 5000; // ms a cancelled run may take to end

export class Run {
  #parked;
  #request = null;
  #outlet = null; // where events go; null while suspended
  #kept = []; // events of that time
  #calls = new Calls(() => this.#suspend());
  #line = null; // the agent
  #handle = null; // the SDK's run
  #leaving = Promise.withResolvers(); // resolved when a cancelled run took too long to end
  #spoken = ''; // the answer to the present request
  #silent = true; // the present request has heard nothing yet
  #resumed = false;
  #over = false;
  #timer = null;
  #tries = 0;
  #began = Date.now();

  /** `parked` maps the ids of calls to the suspended run that waits for them. */
  constructor(parked, request, outlet) {
    this.#parked = parked;
    this.#attach(request, outlet);
  }

  /** Whether a request of `key`'s owner may have to do with it. */
  belongsTo(key) {
    return this.#request.key === key;
  }

  /** Whether `outlet` is the one that hears of it. */
  serves(outlet) {
    return this.#outlet === outlet;
  }

  async go() {
    for (;;) {
      const problem = await this.#attempt();
      if (!problem) return;
      this.#calls.drop();
      const pause = PAUSES[this.#tries];
      // A suspended run may have been lost long before its results came: they go to a new one.
      const retryable = problem.retryable || (this.#resumed && LOST.has(problem.kind));
      if (this.#over || !this.#silent || !retryable || pause === undefined) return void this.#fail(problem);
      this.#tries += 1;
      await sleep(pause * (1 + Math.random() / 4));
      if (this.#over) return;
    }
  }

  /** Take the results that the suspended run waits for; false if `request` is about anything else. */
  resume(request, outlet) {
    const asked = request.turns.findLastIndex(({ role }) => role === 'assistant');
    const found = results(request.turns.slice(asked + 1));
    const waiting = new Set(this.#calls.told());
    const named = request.turns[asked]?.calls ?? [];
    if (this.#over || !agents.alike(request, this.#request) || !named.length || !named.every(({ id }) => waiting.has(id))) return false;
    if (!found.some(({ call_id }) => waiting.has(call_id))) return false;
    this.#silent = true;
    this.#resumed = true;
    this.#tries = 0;
    this.#attach(request, outlet);
    this.#calls.answer(found);
    return true;
  }

  /** Report `reason` at once and end the run at the backend. */
  stop(reason) {
    this.#fail(reason);
    this.#handle?.cancel().catch(() => {});
    setTimeout(() => this.#leaving.resolve({ status: 'cancelled' }), FAREWELL).unref();
  }

  #attach(request, outlet) {
    this.#unpark();
    this.#request = request;
    this.#outlet = outlet;
    this.#spoken = '';
    this.#limit(request.timeout_ms ?? RUN_TIMEOUT, failure('timeout', 'the run took too long'));
    for (const { event, text } of this.#kept.splice(0)) this.#say(event, text);
  }

  #limit(ms, reason) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.stop(reason), ms);
  }

  /** Try once; gives null when there is nothing more to do, else what went wrong. */
  async #attempt() {
    let good = false;
    try {
      const { line, count } = await agents.open(this.#request, this.#tries > 0);
      this.#line = line;
      const outcome = this.#over ? null : await this.#converse(count);
      if (this.#over) return null;
      good = outcome.status === 'finished' && this.#outlet !== null;
      if (!good) return problemOf(outcome);
      agents.rest(line, [...heard(this.#request.turns), said(this.#spoken)]);
      this.#end({ event: 'done', usage: outcome.usage ?? null });
      return null;
    } catch (error) {
      return fromError(error);
    } finally {
      if (!good && this.#line) agents.discard(this.#line).catch(() => {});
      this.#line = null;
    }
  }

  async #converse(count) {
    const { turns, constraints, tools = [] } = this.#request;
    this.#handle = await this.#line.agent.send(render(turns.slice(count), constraints, count > 0), {
      onDelta: ({ update }) => this.#update(update),
      local: { customTools: this.#calls.tools(tools) },
    });
    if (this.#over) this.#handle.cancel().catch(() => {}); // stopped while it was being sent
    return Promise.race([this.#handle.wait(), this.#leaving.promise]);
  }

  #update(update) {
    if (!guard.vouch(update.type)) this.stop(failure('guard', 'output arrived past the guard against built-in tools'));
    if (this.#over) return;
    if (update.type === 'text-delta') this.#say('text', update.text);
    if (update.type === 'thinking-delta') this.#say('thinking', update.text);
    this.#calls.watch(update);
    if (this.#outlet?.full) this.stop(failure('cancelled', 'the client does not read its answer'));
  }

  #say(event, text) {
    this.#silent = false;
    if (!this.#outlet) return void this.#kept.push({ event, text });
    if (event === 'text') this.#spoken += text;
    this.#outlet.push({ event, text });
  }

  /** Hand the model's calls to the client; the run stays as it is until the results come. */
  #suspend() {
    if (!this.#outlet || this.#over) return;
    this.#silent = false;
    const outlet = this.#outlet;
    outlet.push({ event: 'calls', calls: this.#calls.tell() });
    this.#outlet = null;
    for (const id of this.#calls.told()) this.#parked.set(id, this);
    this.#limit(this.#request.park_ms ?? PARKED, failure('cancelled', 'the results of the tools did not come'));
    outlet.push({ event: 'done', usage: null });
  }

  #unpark() {
    for (const id of this.#calls.told()) this.#parked.delete(id);
  }

  #fail(reason) {
    this.#end({ event: 'failed', ...reason });
  }

  #end(event) {
    if (this.#over) return;
    this.#over = true;
    this.#unpark();
    clearTimeout(this.#timer);
    this.#calls.drop();
    this.#outlet?.push(event);
    this.#kept = [];
    const { kind = 'done' } = event;
    log('run', { end: kind, ms: Date.now() - this.#began, tries: this.#tries + 1, turns: this.#request.turns.length });
  }
}

function problemOf({ status, error }) {
  if (status === 'cancelled') return failure('cancelled', 'the run was cancelled');
  if (status === 'finished') return failure('cancelled', 'the model went on without the results of its tools');
  return fromMessage(error?.message);
}
