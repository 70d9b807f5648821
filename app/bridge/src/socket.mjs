// The app's way in: one Unix socket that the app listens on. The bridge lives as long as that connection.
import net from 'node:net';
import { owner } from './account.mjs';
import { fromError } from './failures.mjs';
import { Decoder, encode } from './frames.mjs';
import { Outlet } from './outlet.mjs';
import { start, status } from './runs.mjs';
import { runtime } from './runtime.mjs';

function serve(socket, token) {
  const requests = new Map(); // id: {outlet, cancel}
  const send = (message) => socket.writable && socket.write(encode(message));
  const operations = {
    run({ id, ...request }) {
      const outlet = new Outlet((event) => {
        if (event.event === 'done' || event.event === 'failed') requests.delete(id);
        send({ id, ...event });
      });
      requests.set(id, { outlet });
      const cancel = start(request, outlet);
      if (requests.has(id)) requests.get(id).cancel = cancel;
    },
    cancel({ id }) {
      requests.get(id)?.cancel();
      requests.delete(id);
    },
    taken: ({ id, count }) => requests.get(id)?.outlet.taken(count),
    me({ id, key }) {
      const answers = [(found) => ({ event: 'me', ...found }), (error) => ({ event: 'failed', ...fromError(error) })];
      owner(key).then(...answers).then((answer) => send({ id, ...answer }));
    },
    status: ({ id }) => send({ id, event: 'status', ...status(), memory: process.memoryUsage.rss() }),
  };
  const decoder = new Decoder(({ op, ...message }) => operations[op]?.(message));
  socket.on('data', (chunk) => {
    try {
      decoder.push(chunk);
    } catch (error) {
      console.error('the app sent what is no message:', error.name);
      process.exit(1); // where the next frame begins is unknown
    }
  });
  socket.on('close', () => process.exit(0));
  socket.on('error', () => process.exit(1));
  send({ event: 'ready', token, ...runtime() });
}

/** Connect to the app and serve it. */
export function connect(path, token) {
  const socket = net.connect(path, () => serve(socket, token));
  socket.on('error', (error) => {
    console.error('cannot reach the app:', error.code);
    process.exit(1);
  });
}
