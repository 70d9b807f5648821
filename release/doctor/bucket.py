"""The bucket: may we do there what publishing does, and does it refuse what it has to refuse."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from uuid import uuid4

from errors import Exit, Fault
from release.s3 import Changed
from release.store import Store

SCRATCH = "doctor/"
STALE = timedelta(hours=1)  # what an earlier look that was cut off left behind


def rights(store: Store, now: datetime) -> str:
    """Write, read, list and remove an object under `doctor/`, which nothing public refers to.

    Raises Fault: SECRET or NETWORK as the store does, PUBLISH if a condition is not kept or what is read is
    not what was written.
    """
    _sweep(store, now)
    key = f"{SCRATCH}{uuid4().hex}"
    try:
        etag = _put(store, key, b"one", if_none_match="*")
        _refused(store, key, "If-None-Match: *, on an object that is there", if_none_match="*")
        _refused(
            store, key, "If-Match, with another entity tag", if_match='"00000000000000000000000000000000"'
        )
        _put(store, key, b"two", if_match=etag)
        found = store.get(key)
        if found is None or found[1] != b"two" or key not in [one.key for one in store.list(SCRATCH)]:
            raise Fault("the bucket does not give back what was written", where=key, status=Exit.PUBLISH)
    finally:
        with suppress(Fault):  # the fault that matters is the one above, or the next line's
            store.delete(key)
    if store.head(key) is not None:
        raise Fault("the object that was removed is still there", where=key, status=Exit.PUBLISH)
    return "written, read, listed and removed; conditions are kept"


def _put(
    store: Store, key: str, body: bytes, *, if_match: str | None = None, if_none_match: str | None = None
) -> str:
    return store.put(
        key,
        body,
        content_type="text/plain; charset=utf-8",
        cache_control="no-store",
        if_match=if_match,
        if_none_match=if_none_match,
    )


def _refused(
    store: Store, key: str, what: str, *, if_match: str | None = None, if_none_match: str | None = None
) -> None:
    try:
        _put(store, key, b"must not be written", if_match=if_match, if_none_match=if_none_match)
    except Changed:
        return
    raise Fault(
        f"the bucket ignores a condition: {what}",
        where=key,
        cure="publish.endpoint has to be R2, or another S3 that keeps conditional writes: two releases at"
        " once would overwrite each other",
        status=Exit.PUBLISH,
    )


def _sweep(store: Store, now: datetime) -> None:
    for one in list(store.list(SCRATCH)):
        if one.modified is not None and now - one.modified > STALE:
            store.delete(one.key)
