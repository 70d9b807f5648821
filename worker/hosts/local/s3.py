"""An S3 bucket, such as R2 from elsewhere, by obstore."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Final

import obstore
from obstore.exceptions import BaseError, PreconditionError
from obstore.store import S3Store

from worker.ports import Object, Unavailable, Vanished

CHUNK: Final = 256 * 1024


class S3:
    """A bucket behind an S3 endpoint."""

    def __init__(self, endpoint: str, bucket: str, access_key: str, secret_key: str) -> None:
        self._store = S3Store(
            bucket,
            endpoint=endpoint,
            access_key_id=access_key,
            secret_access_key=secret_key,
            region="auto",
            virtual_hosted_style_request=False,
            client_options={"allow_http": endpoint.startswith("http://")},
        )

    async def head(self, key: str) -> Object | None:
        """See ObjectStore."""
        try:
            answer = await obstore.get_async(self._store, key, options={"head": True})
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise Unavailable(f"bucket: {type(error).__name__}") from error
        return _object(key, answer)

    async def stream(self, found: Object, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """See ObjectStore."""
        if start == end:
            return
        try:
            options: Any = {"range": (start, end), "if_match": found.etag}
            answer = await obstore.get_async(self._store, found.key, options=options)
            async for chunk in answer.stream(min_chunk_size=CHUNK):
                yield bytes(chunk)
        except (FileNotFoundError, PreconditionError):
            raise Vanished(found.key) from None
        except (BaseError, OSError) as error:
            raise Unavailable(f"bucket: {type(error).__name__}") from error


def _object(key: str, answer: Any) -> Object:
    meta, attributes = answer.meta, answer.attributes
    return Object(
        key,
        meta["size"],
        meta["e_tag"] or "",
        meta["last_modified"].timestamp(),
        attributes.get("Content-Type", ""),
        attributes.get("Cache-Control", ""),
        attributes.get("Content-Disposition", ""),
    )
