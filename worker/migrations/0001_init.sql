-- Accounts with their encrypted Cursor keys, the tokens they were given, and what was asked with them.
CREATE TABLE accounts (
  id TEXT PRIMARY KEY,
  cursor_user_id TEXT,
  cursor_email TEXT,
  cursor_name TEXT,
  cursor_api_key_ciphertext TEXT NOT NULL,
  cursor_api_key_iv TEXT NOT NULL,
  cursor_api_key_hint TEXT NOT NULL,
  waitlist_opt_in INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
);

CREATE TABLE api_keys (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  prefix TEXT NOT NULL,
  key_hash TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  created_at TEXT NOT NULL,
  last_used_at TEXT,
  revoked_at TEXT
);
CREATE INDEX api_keys_account ON api_keys (account_id);

CREATE TABLE request_logs (
  id TEXT PRIMARY KEY,
  account_id TEXT,
  api_key_id TEXT,
  endpoint TEXT NOT NULL,
  model TEXT,
  status INTEGER NOT NULL,
  prompt_tokens INTEGER,
  completion_tokens INTEGER,
  latency_ms INTEGER,
  error_code TEXT,
  created_at TEXT NOT NULL
);
CREATE INDEX request_logs_account ON request_logs (account_id, created_at);
