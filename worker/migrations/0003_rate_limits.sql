-- How often something was done in the window that began at `since` (epoch seconds); `id` is a hash.
CREATE TABLE rate_limits (
  id TEXT PRIMARY KEY,
  since INTEGER NOT NULL,
  count INTEGER NOT NULL
);
CREATE INDEX rate_limits_since ON rate_limits (since);
