// The client's tools as the SDK's custom tools. A call of the model's becomes a promise that is kept until the
// client brings the result, in a later request; the run is suspended meanwhile.
import { randomBytes } from 'node:crypto';

const QUIET = 40; // ms without news until the calls of a turn are thought complete
const PATIENCE = 2000; // ms to wait for calls that were announced and do not come
const UNANSWERED = 'The client gave no result for this call.';

export class Calls {
  #open = new Map(); // our id: {call, told, resolve, reject}
  #announced = new Set(); // the backend's ids of calls begun and not yet made
  #timer = null;
  #since = 0;
  #ready;

  /** `ready()` is called when a turn's calls are together. */
  constructor(ready) {
    this.#ready = ready;
  }

  /** What the SDK wants as customTools. */
  tools(offered) {
    const entries = offered.map(({ name, description, parameters }) => [
      name,
      { description, inputSchema: parameters, execute: (args, context) => this.#called(name, args, context?.toolCallId) },
    ]);
    return Object.fromEntries(entries);
  }

  /** Watch the stream for calls that are coming. */
  watch({ type, callId, toolCall }) {
    if (toolCall?.type !== 'mcp' || !/^(partial-tool-call|tool-call-)/.test(type)) return;
    if (type === 'tool-call-completed') this.#announced.delete(callId);
    else if (![...this.#open.values()].some(({ theirs }) => theirs === callId)) this.#announced.add(callId);
    if (this.untold().length) this.settle();
  }

  /** Calls the client does not know of yet. */
  untold() {
    return [...this.#open.values()].filter(({ told }) => !told).map(({ call }) => call);
  }

  /** The ids of those it was told of and has not answered. */
  told() {
    return [...this.#open].filter(([, { told }]) => told).map(([id]) => id);
  }

  /** The calls the client is to be told of now. */
  tell() {
    const calls = this.untold();
    for (const entry of this.#open.values()) entry.told = true;
    return calls;
  }

  /** Give the client's results, `{call_id, text, images?}`, to the calls it was told of; one without is told so. */
  answer(turns) {
    for (const id of this.told()) {
      const turn = turns.find(({ call_id }) => call_id === id);
      const images = (turn?.images ?? []).map((image) => ({ type: 'image', ...image }));
      const content = [{ type: 'text', text: turn ? turn.text : UNANSWERED }, ...images];
      this.#open.get(id).resolve({ content, isError: !turn });
      this.#open.delete(id);
    }
    if (this.#open.size) this.settle(); // made while the client worked
  }

  /** The run is over: nothing will be answered. */
  drop() {
    clearTimeout(this.#timer);
    for (const { reject } of this.#open.values()) reject(new Error('the run was cancelled'));
    this.#open.clear();
    this.#announced.clear();
    this.#since = 0;
  }

  /** Wait for quiet, then tell. */
  settle() {
    this.#since ||= Date.now();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#announced.size && Date.now() - this.#since < PATIENCE) return this.settle();
      this.#since = 0;
      this.#announced.clear();
      if (this.untold().length) this.#ready();
    }, QUIET);
  }

  #called(name, args, theirs) {
    return new Promise((resolve, reject) => {
      const id = `call_${randomBytes(12).toString('hex')}`;
      const call = { id, name, arguments: JSON.stringify(args) };
      this.#open.set(id, { call, theirs, told: false, resolve, reject });
      this.#announced.delete(theirs);
      this.settle();
    });
  }
}
