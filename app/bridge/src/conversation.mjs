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

/** What an agent has seen of a conversation, turn by turn: marks of what the client sent, and what the agent said
 *  itself. Its own words may come back shortened (a stop word, a code fence), so a part of them will do. */
export const heard = (turns) => turns.map((turn) => ({ mark: mark(turn) }));
export const said = (text, calls = []) => ({ said: text, calls: calls.map(({ id }) => id) });

/** How many of `turns` an agent knows that has `seen` that, or 0 if what is left is nothing to simply add. */
export function known(seen, turns, marks) {
  if (seen.length === 0 || seen.length >= turns.length) return 0;
  if (!turns.slice(seen.length).every(({ role }) => role === 'user' || role === 'system')) return 0;
  return seen.every((item, index) => same(item, turns[index], marks[index])) ? seen.length : 0;
}

function same(item, turn, { mark: own }) {
  if (item.mark) return item.mark === own;
  const calls = (turn.calls ?? []).map(({ id }) => id);
  const text = turn.text.trim();
  if (turn.role !== 'assistant' || calls.join() !== item.calls.join()) return false;
  return text === '' ? item.said.trim() === '' : item.said.includes(text);
}

/** The results of tools in the turns behind their calls; none if the client went on to something else. Agents whose
 *  results hold only text send a tool's pictures behind them, as the user's: they belong to the last result. */
export function results(turns) {
  const count = turns.findLastIndex(({ role }) => role === 'tool') + 1;
  const given = turns.slice(0, count);
  const behind = turns.slice(count);
  const only = given.every(({ role }) => role === 'tool') && behind.every(({ role, images }) => role === 'user' && images?.length);
  if (count === 0 || !only) return [];
  const last = given.pop();
  const text = [last, ...behind].flatMap((turn) => turn.text || []).join('\n\n');
  return [...given, { ...last, text, images: [last, ...behind].flatMap(({ images = [] }) => images) }];
}
