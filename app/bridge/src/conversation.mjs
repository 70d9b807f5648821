// A conversation as the one text that an agent takes, and how two conversations compare.
import { createHash } from 'node:crypto';

const LABELS = { system: 'System', user: 'User', assistant: 'Assistant' };
const CLOSING = 'Answer the last message of the conversation above as the assistant. Give only the answer.';

/** Turns as the SDK's message, `{text, images?}`. A single user turn stands for itself. `constraints` are words
 *  about the form of the answer; `more` says that the agent knows what came before. */
export function render(turns, constraints = '', more = false) {
  const images = turns.flatMap((turn) => turn.images ?? []);
  const plain = turns.every((turn) => turn.role === 'user') && (more || turns.length === 1);
  const parts = plain ? turns.map((turn) => turn.text) : [...written(turns), CLOSING];
  if (constraints) parts.push(constraints);
  const text = parts.join('\n\n');
  return images.length ? { text, images } : { text };
}

function written(turns) {
  let images = 0;
  return turns.map((turn) => {
    const marks = (turn.images ?? []).map(() => `[image ${(images += 1)}]`);
    return [heading(turn), turn.text, ...marks, ...(turn.calls ?? []).map(call)].filter(Boolean).join('\n');
  });
}

const heading = ({ role, call_id }) => (role === 'tool' ? `Result of the tool call ${call_id}:` : `${LABELS[role]}:`);
const call = ({ id, name, arguments: json }) => `[tool call ${id}: ${name} with ${json}]`;

/** A turn's mark: equal for equal turns, and short. */
export function mark(turn) {
  const { role, text, images = [], calls = [], call_id = '' } = turn;
  const hash = createHash('sha256');
  for (const part of [role, text, call_id]) hash.update(`${part.length}:${part}`);
  for (const { data, mimeType } of images) hash.update(`image ${mimeType} ${data.length}:${data}`);
  for (const { id, name, arguments: json } of calls) hash.update(JSON.stringify([id, name, json]));
  return hash.digest('base64');
}
