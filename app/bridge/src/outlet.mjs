// Where one request's events go. A reader that is slow gets credit for no more than it has taken; until then its
// text is kept here in one piece, and when that grows long the run itself is made to wait.
const CREDIT = 256 * 1024; // characters under way to the reader
const PATIENCE = 1024 * 1024; // characters kept before the backend has to wait

const size = ({ text }) => text?.length ?? 1;

export class Outlet {
  #write;
  #credit = CREDIT;
  #kept = [];
  #length = 0;
  #waiting = [];
  #passed = []; // sizes of what the reader has not taken

  /** `write(event)` sends; whoever knows how many of the events were taken calls `taken`. */
  constructor(write) {
    this.#write = write;
  }

  push(event) {
    if (this.#credit > 0 && this.#kept.length === 0) this.#pass(event);
    else this.#keep(event);
  }

  /** The reader has taken `count` more events. */
  taken(count) {
    for (const length of this.#passed.splice(0, count)) this.#credit += length;
    while (this.#credit > 0 && this.#kept.length) {
      const { pieces, ...event } = this.#kept.shift();
      const whole = pieces ? { ...event, text: pieces.join('') } : event;
      this.#length -= size(whole);
      this.#pass(whole);
    }
    if (this.#length < PATIENCE) this.#release();
  }

  /** Resolves when there is room for more. */
  room() {
    return this.#length < PATIENCE ? undefined : new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Nobody reads any more. */
  close() {
    this.#write = () => {};
    this.#kept = [];
    this.#length = 0;
    this.#release();
  }

  #pass(event) {
    this.#credit -= size(event);
    this.#passed.push(size(event));
    this.#write(event);
  }

  #keep({ text, ...event }) {
    this.#length += size({ text });
    const last = this.#kept.at(-1);
    if (text !== undefined && last?.pieces && last.event === event.event) last.pieces.push(text);
    else this.#kept.push(text === undefined ? event : { ...event, pieces: [text] });
  }

  #release() {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
