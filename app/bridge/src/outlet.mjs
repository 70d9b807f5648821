// Where one request's events go. A reader that is slow gets no more ahead than its credit; the rest of the text is
// kept here in one piece, up to a length that no answer has. The SDK reads on in any case, so there is no use in
// letting it wait.
const CREDIT = 256 * 1024; // characters under way to the reader
const MOST = 16 * 1024 * 1024; // characters kept for it

const size = ({ text }) => text?.length ?? 1;

export class Outlet {
  #write;
  #credit = CREDIT;
  #kept = [];
  #length = 0;
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
  }

  /** Whether more is kept than a reader may leave unread. */
  get full() {
    return this.#length > MOST;
  }

  /** Nobody reads any more. */
  close() {
    this.#write = () => {};
    this.#kept = [];
    this.#length = 0;
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
}
