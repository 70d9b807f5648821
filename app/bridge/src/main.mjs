// The bridge: Cursor's SDK in a process of its own. Started by the app it connects back to the app's socket; alone
// it listens on a port. stdout is the SDK's to scribble on.
import './guard.mjs'; // before anything of the SDK
import { listen } from './http.mjs';
import { log } from './log.mjs';
import { connect } from './socket.mjs';

const SHORTEST_TOKEN = 16;

const take = (name) => {
  const value = process.env[`CURSOR_SDK_BRIDGE_${name}`];
  delete process.env[`CURSOR_SDK_BRIDGE_${name}`];
  return value || undefined;
};

function stop(message) {
  console.error(message);
  process.exit(2);
}

// Rejections nobody handles leak out of the SDK after cancelled runs. They concern one run at most.
process.on('unhandledRejection', (error) => log('unhandled rejection', { name: error?.name ?? 'unknown' }));
process.on('uncaughtException', (error) => log('uncaught exception', { name: error?.name ?? 'unknown' }));

const [socket, port, token] = ['SOCKET', 'PORT', 'TOKEN'].map(take);
const [host = '127.0.0.1', timeout = 180_000] = ['HOST', 'RUN_TIMEOUT_MS'].map(take);
if (socket) connect(socket, token);
else if (!port) stop('CURSOR_SDK_BRIDGE_SOCKET must name the socket of the app, or CURSOR_SDK_BRIDGE_PORT a port');
else if (!token || token.length < SHORTEST_TOKEN) stop('CURSOR_SDK_BRIDGE_TOKEN must be at least 16 characters');
else listen({ host, port: Number(port), token, timeout: Number(timeout) });
