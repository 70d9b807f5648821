"""Cloudflare's Workers as the host: a Python Worker with R2 and D1 bindings, fetch and WebCrypto."""
