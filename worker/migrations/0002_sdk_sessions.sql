-- Which agent of the SDK belongs to which conversation of whom, so that any isolate can go on with it.
CREATE TABLE sdk_sessions (
  id TEXT PRIMARY KEY,
  owner_hash TEXT NOT NULL,
  session_hash TEXT NOT NULL,
  agent_id TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  UNIQUE (owner_hash, session_hash)
);
CREATE INDEX sdk_sessions_updated ON sdk_sessions (updated_at);
