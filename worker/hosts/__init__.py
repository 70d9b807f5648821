"""Where the core runs: `cloudflare` (a Worker's bindings) and `local` (uvicorn, folder or S3, SQLite)."""
