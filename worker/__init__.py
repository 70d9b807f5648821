"""The public side: downloads, feed, landing page, webhook, and the hosted API of old.

One ASGI core (`worker.core`) that two hosts run: Cloudflare's Workers and uvicorn. What they have in
different shape comes in through the ports of `worker.ports`; the core imports neither host.
"""
