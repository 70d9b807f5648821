// Cloudflare's Python Worker on this machine: CPython as WebAssembly, Cloudflare's own SDK for Python, and the bucket
// and the database of wrangler. Only what lies between them, and HTTP, is done here and not by workerd.
//
// `node host.mjs OPTIONS` with OPTIONS as JSON; prints two ports, of the site and of its tests, and serves until its
// standard input ends.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Readable } from "node:stream";

const options = JSON.parse(process.argv[2]);
const { getPlatformProxy } = createRequire(join(options.wrangler, "x"))("wrangler");
const { loadPyodide } = await import(join(options.pyodide, "pyodide.mjs"));

const platform = await getPlatformProxy({
  configPath: options.config,
  persist: { path: join(options.state, "v3") },
  remoteBindings: false,
});
let env = { ...platform.env };
let standing; // the time in milliseconds once a test has set it
const now = Date.now;
Date.now = () => standing ?? now();

const python = await loadPyodide();
for (const [place, folder] of Object.entries({ "/src": options.source, "/packages": options.packages, "/shared": options.shared })) {
  python.FS.mkdirTree(place);
  python.FS.mount(python.FS.filesystems.NODEFS, { root: folder }, place);
}
// What workerd puts beside the SDK.
const nothing = () => {};
python.registerJsModule("_cloudflare_compat_flags", {});
python.registerJsModule("_pyodide_entrypoint_helper", {
  cloudflareWorkersModule: {
    get env() {
      return env;
    },
    waitUntil: nothing,
  },
  patchWaitUntil: nothing,
});
python.runPython(`
import sys
sys.dont_write_bytecode = True
sys.path[:0] = ["/src", "/packages"]
sys.path.append("/shared")  # pure Python that the other host uses as well
`);

const entry = python.pyimport("entry").Default;
const forget = python.runPython(`
from worker.hosts.cloudflare import entry as host
lambda: (host.ports.cache_clear(), host.application.cache_clear(), None)[-1]
`);

async function serve(request) {
  const headers = Object.entries(request.headersDistinct).flatMap(([name, values]) => values.map((value) => [name, value]));
  const body = ["GET", "HEAD"].includes(request.method) ? undefined : Readable.toWeb(request);
  const asked = new Request(`http://${request.headers.host}${request.url}`, {
    method: request.method,
    headers: [...headers.filter(([name]) => name !== "cf-connecting-ip"), ["cf-connecting-ip", request.socket.remoteAddress]],
    body,
    duplex: "half",
    redirect: "manual",
  });
  return await entry({}, env).fetch(python.pyimport("workers").Request(asked));
}

async function answer(request, response) {
  try {
    const got = await serve(request);
    response.writeHead(got.status, [...got.headers].flat());
    if (got.body) for await (const part of got.body) if (!response.write(part)) await room(response);
    response.end();
  } catch (error) {
    process.stderr.write(`${error.stack ?? error}\n`);
    if (!response.headersSent) response.writeHead(599);
    response.destroy();
  }
}

async function empty() {
  const { RELEASES, DB } = platform.env;
  for (const { key } of (await RELEASES.list()).objects) await RELEASES.delete(key);
  const tables = ["request_logs", "sdk_sessions", "api_keys", "accounts", "rate_limits"];
  await DB.batch(tables.map((name) => DB.prepare(`DELETE FROM ${name}`)));
}

const room = (response) => new Promise((go) => response.once("drain", go).once("close", go));

// What the tests do to the Worker's surroundings, each a POST.
const deeds = {
  async reset({ settings, without, keep }) {
    if (!keep) await empty();
    env = { ...platform.env, ...settings };
    for (const name of without) delete env[name];
    forget();
  },
  async down({ names }) {
    const fails = () => Promise.reject(new Error("D1_ERROR: a secret detail"));
    const statement = { bind: () => statement, all: fails };
    for (const name of names) env[name] = { head: fails, get: fails, batch: fails, prepare: () => statement };
    forget();
  },
  async put({ key, data }) {
    await platform.env.RELEASES.put(key, Buffer.from(data, "base64"));
  },
  async rows({ sql }) {
    return (await platform.env.DB.prepare(sql).all()).results;
  },
  async container({ failures }) {
    let tries = 0;
    let started;
    const port = (number) => ({
      async fetch(request) {
        if (tries++ < failures) throw new Error("the container is not listening");
        return new Response(`${number} ${await request.text()}`);
      },
    });
    const container = { running: false, start: (given) => (started = given), getTcpPort: port };
    const asked = new Request("http://bridge.container/run", { method: "POST", body: "hi" });
    const bridge = python.pyimport("entry").BridgeContainer({ container }, env);
    const got = await bridge.fetch(python.pyimport("workers").Request(asked));
    return { status: got.status, body: await got.text(), started };
  },
  async clock({ seconds }) {
    standing = seconds * 1000;
  },
};

async function control(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const [, deed] = request.url.split("/");
  try {
    response.end(JSON.stringify((await deeds[deed](JSON.parse(Buffer.concat(chunks)))) ?? null));
  } catch (error) {
    response.writeHead(500);
    response.end(String(error.stack));
  }
}

const listen = (handler) => new Promise((go) => {
  const server = createServer({ requestTimeout: 0 }, handler).listen(0, "127.0.0.1", () => go(server.address().port));
});
process.stdout.write(`${await listen(answer)} ${await listen(control)}\n`);
process.stdin.on("end", () => process.exit()).resume();
