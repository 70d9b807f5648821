// The bridge: Cursor's SDK in a process of its own, spoken to over one Unix socket that the app listens on.
// It lives as long as that connection: no app, no bridge. stdout is the SDK's to scribble on.
import './guard.mjs'; // before anything of the SDK
import net from 'node:net';
import { Decoder, encode } from './frames.mjs';
import { Runs } from './runs.mjs';

const take = (name) => {
  const value = process.env[name];
  delete process.env[name];
  return value;
};

function runtime() {
  const { bun, node } = process.versions;
  return bun ? { runtime: 'bun', version: bun } : { runtime: 'node', version: node };
}

function serve(socket, token) {
  const runs = new Runs();
  const send = (message) => socket.writable && socket.write(encode(message));
  const operations = {
    run: (message) => runs.start(message, send),
    cancel: (message) => runs.cancel(message),
    status: ({ id }) => send({ id, event: 'status', ...runs.status(), memory: process.memoryUsage.rss() }),
  };
  const decoder = new Decoder(({ op, ...message }) => operations[op]?.(message));
  socket.on('data', (chunk) => {
    try {
      decoder.push(chunk);
    } catch (error) {
      console.error('the app sent what is no message:', error.message);
      process.exit(1); // where the next frame begins is unknown
    }
  });
  socket.on('close', () => process.exit(0));
  socket.on('error', () => process.exit(1));
  send({ event: 'ready', token, ...runtime() });
}

// Rejections nobody handles leak out of the SDK after cancelled runs. They concern one run at most.
process.on('unhandledRejection', (error) => console.error('unhandled rejection:', error?.name ?? 'unknown'));
process.on('uncaughtException', (error) => console.error('uncaught exception:', error?.name ?? 'unknown'));

const path = take('CURSOR_SDK_BRIDGE_SOCKET');
const token = take('CURSOR_SDK_BRIDGE_TOKEN');
if (!path) {
  console.error('CURSOR_SDK_BRIDGE_SOCKET must name the socket of the app');
  process.exit(2);
}
const socket = net.connect(path, () => serve(socket, token));
socket.on('error', (error) => {
  console.error('cannot reach the app:', error.code);
  process.exit(1);
});
