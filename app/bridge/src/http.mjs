// The bridge alone, for those who are not its parent: HTTP with a token. `POST /run` takes what a run is asked with
// over the socket and answers a line of JSON an event; a failure before the first output has a status instead.
import { createHash, timingSafeEqual } from 'node:crypto';
import http from 'node:http';
import { log } from './log.mjs';
import { Outlet } from './outlet.mjs';
import { start, status } from './runs.mjs';
import { runtime } from './runtime.mjs';

const MAX_BODY = 128 * 1024 * 1024;
const SERVICE = 'API for Cursor bridge';

const digest = (text) => createHash('sha256').update(text).digest();

function answer(response, code, body, headers = {}) {
  const data = JSON.stringify(body);
  const length = Buffer.byteLength(data);
  response.writeHead(code, { 'content-type': 'application/json', 'content-length': length, ...headers });
  response.end(response.req.method === 'HEAD' ? undefined : data);
}

function refuse(response, code, message, details = {}) {
  answer(response, code, { error: { message, ...details } }, code === 413 ? { connection: 'close' } : {});
}

/** The status that a failure has: a timeout 504, what may be tried again 503, a key that Cursor refuses 401, else 502. */
function statusOf({ kind, retryable }) {
  if (kind === 'timeout') return [504, 'cursor_sdk_timeout'];
  if (kind === 'authentication') return [401, 'cursor_unauthorized'];
  return retryable ? [503, 'cursor_sdk_unavailable'] : [502, 'cursor_sdk_error'];
}

async function read(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parse(body) {
  try {
    const found = JSON.parse(body.toString('utf8'));
    const turns = Array.isArray(found?.turns) && found.turns.length > 0 && found.turns.every(isTurn);
    return turns && typeof found.key === 'string' && typeof found.model === 'string' ? found : null;
  } catch {
    return null;
  }
}

const isTurn = (turn) => ['system', 'user', 'assistant', 'tool'].includes(turn?.role) && typeof turn.text === 'string';

async function run(request, response, defaults) {
  const body = await read(request);
  if (!body) return refuse(response, 413, 'The request body is too long');
  const asked = parse(body);
  if (!asked) return refuse(response, 400, 'The body must be JSON with key, model and turns');
  const outlet = new Outlet((event) => write(response, event, outlet));
  const cancel = start({ ...asked, ...defaults }, outlet);
  response.on('close', () => !response.writableFinished && cancel());
}

function write(response, event, outlet) {
  const last = event.event === 'done' || event.event === 'failed';
  if (event.event === 'failed' && !response.headersSent) {
    const [code, word] = statusOf(event);
    const { kind, message, retryable } = event;
    return refuse(response, code, message, { type: 'server_error', code: word, kind, retryable });
  }
  if (!response.headersSent) {
    response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
  }
  response.write(`${JSON.stringify(event)}\n`, () => outlet.taken(1));
  if (last) response.end();
}

/** Listen; `timeout` is for one request, in ms. */
export function listen({ host, port, token, timeout }) {
  const expected = digest(`Bearer ${token}`);
  const allowed = ({ headers }) => timingSafeEqual(digest(headers.authorization ?? ''), expected);
  const server = http.createServer({ requestTimeout: 60_000, headersTimeout: 10_000 }, (request, response) => {
    const path = request.url.split('?')[0];
    const reading = request.method === 'GET' || request.method === 'HEAD';
    if (path === '/health' && reading) {
      const more = allowed(request) ? { ...runtime(), ...status(), memory: process.memoryUsage.rss() } : {};
      return answer(response, 200, { service: SERVICE, status: 'ready', ...more });
    }
    if (!allowed(request)) return refuse(response, 401, 'Missing or invalid authorization');
    if (path !== '/run') return refuse(response, 404, 'There is no such path');
    if (request.method !== 'POST') return refuse(response, 405, 'Only POST is allowed');
    return run(request, response, { timeout_ms: timeout }).catch(() => response.destroy());
  });
  server.on('error', (error) => {
    console.error(`cannot listen on ${host}:${port}: ${error.code}`);
    process.exit(1);
  });
  server.listen(port, host, () => log('listening', { url: `http://${host}:${server.address().port}`, ...runtime() }));
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
}
