// The framing both sides speak: a 4-byte big-endian length, then that many bytes of UTF-8 JSON.
export const MAX_FRAME = 128 * 1024 * 1024; // a 64 MB request body with its base64 images fits

/** One message as bytes. */
export function encode(message) {
  const body = Buffer.from(JSON.stringify(message), 'utf8');
  const frame = Buffer.allocUnsafe(4 + body.length);
  frame.writeUInt32BE(body.length, 0);
  body.copy(frame, 4);
  return frame;
}

/** Collects bytes; calls `onMessage` for each whole message. Throws on a frame over MAX_FRAME or bad JSON. */
export class Decoder {
  #chunks = [];
  #size = 0;
  #wanted = null;

  constructor(onMessage) {
    this.onMessage = onMessage;
  }

  push(chunk) {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    for (let body = this.#next(); body; body = this.#next()) this.onMessage(JSON.parse(body.toString('utf8')));
  }

  #next() {
    if (this.#wanted === null) {
      if (this.#size < 4) return null;
      this.#wanted = this.#take(4).readUInt32BE(0);
      if (this.#wanted > MAX_FRAME) throw new Error(`a frame of ${this.#wanted} bytes is too long`);
    }
    if (this.#size < this.#wanted) return null;
    const body = this.#take(this.#wanted);
    this.#wanted = null;
    return body;
  }

  #take(count) {
    const all = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
    this.#size -= count;
    this.#chunks = this.#size ? [all.subarray(count)] : [];
    return all.subarray(0, count);
  }
}
