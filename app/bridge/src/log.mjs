// One JSON object a line on stderr. Never a key, a prompt, an answer, or a message of somebody else's error.
export function log(event, fields = {}) {
  process.stderr.write(`${JSON.stringify({ log: event, ...fields })}\n`);
}
