// Where the SDK keeps agents, runs and conversation blobs: in memory. Its own default is SQLite files in the
// home folder, one folder an agent; prompts have no business there, and bun:sqlite and node:sqlite differ.
// Everything of an agent goes when `forget` is called, so memory is bounded by the agents that are open.

const some = (list, value) => !list?.length || list.includes(value);

function page(items, { cursor, limit } = {}, id) {
  const from = cursor ? items.findIndex((item) => id(item) === cursor) + 1 : 0;
  const slice = items.slice(from, limit ? from + limit : undefined);
  const more = from + slice.length < items.length;
  return more ? { items: slice, nextCursor: id(slice.at(-1)) } : { items: slice };
}

function put(map, key, value) {
  map.set(key, structuredClone(value));
  return structuredClone(value);
}

const get = (map, key) => structuredClone(map.get(key) ?? null);

function agents(rows) {
  return {
    get: async ({ agentId }) => get(rows, agentId),
    create: async ({ agent }) => put(rows, agent.agentId, agent),
    update: async ({ agent }) => put(rows, agent.agentId, agent),
    delete: async ({ filter }) => {
      for (const row of [...rows.values()]) {
        if (some(filter.agentIds, row.agentId) && (!filter.cwd || filter.cwd === row.cwd)) rows.delete(row.agentId);
      }
    },
    list: async ({ filter = {} } = {}) => {
      const found = [...rows.values()].filter((row) => !filter.cwd || filter.cwd === row.cwd);
      found.sort((a, b) => b.updatedAt - a.updatedAt || (a.agentId < b.agentId ? 1 : -1));
      return structuredClone(page(found, filter, (row) => row.agentId));
    },
  };
}

function runs(rows) {
  const match = (row, { agentIds, runIds }) => some(agentIds, row.agentId) && some(runIds, row.runId);
  return {
    get: async ({ agentId, runId }) => {
      const row = get(rows, runId);
      return row?.agentId === agentId ? row : null;
    },
    create: async ({ run }) => put(rows, run.runId, run),
    update: async ({ run }) => put(rows, run.runId, run),
    delete: async ({ filter }) => {
      for (const row of [...rows.values()]) if (match(row, filter)) rows.delete(row.runId);
    },
    list: async ({ filter = {} } = {}) => {
      const found = [...rows.values()].filter((row) => match(row, filter));
      found.sort((a, b) => a.turnNumber - b.turnNumber || (a.runId < b.runId ? -1 : 1));
      return structuredClone(page(found, filter, (row) => row.runId));
    },
  };
}

function checkpoints(blobs) {
  const of = (agentId) => blobs.get(agentId) ?? blobs.set(agentId, new Map()).get(agentId);
  const write = async ({ agentId, blobId, data }) => void of(agentId).set(blobId, data);
  return {
    get: async ({ agentId, blobId }) => blobs.get(agentId)?.get(blobId) ?? null,
    create: write,
    update: write,
    delete: async ({ filter }) => {
      for (const [agentId, own] of blobs) {
        if (!some(filter.agentIds, agentId)) continue;
        if (!filter.blobIds?.length) blobs.delete(agentId);
        else for (const blobId of filter.blobIds) own.delete(blobId);
      }
    },
    list: async ({ filter = {} } = {}) => {
      const ids = [...blobs].filter(([agentId]) => some(filter.agentIds, agentId)).flatMap(([, own]) => [...own.keys()]);
      return page(ids.filter((blobId) => some(filter.blobIds, blobId)).sort(), filter, (blobId) => blobId);
    },
  };
}

// Run events are a durable copy of the stream for a reader in another process. There is none: number them, keep
// nothing.
function runEvents() {
  let seq = 0;
  return {
    append: async ({ payload = null, payloadRef = null, idempotencyKey = null, ...event }) => {
      seq += 1;
      return { ...event, payload, payloadRef, idempotencyKey, seq, offset: String(seq), createdAt: Date.now() };
    },
    list: async () => ({ items: [] }),
    delete: async () => {},
  };
}

/** A LocalAgentStore of the SDK, and `forget(agentId)` and `size()` beside it. */
export function createStore() {
  const agentRows = new Map();
  const runRows = new Map();
  const blobs = new Map();
  const store = {
    agents: agents(agentRows), runs: runs(runRows), checkpoints: checkpoints(blobs), runEvents: runEvents(),
  };
  async function forget(agentId) {
    agentRows.delete(agentId);
    blobs.delete(agentId);
    await store.runs.delete({ filter: { agentIds: [agentId] } });
  }
  return { store, forget, size: () => agentRows.size + runRows.size + blobs.size };
}
