"""What the public site offers, fetched as everybody can fetch it: no secret is needed to look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appcast.feed import Feed
from errors import Exit, Fault
from release import feed as feeds

if TYPE_CHECKING:
    import requests

    from release.config import Config
    from release.services import Services

TIMEOUT = (10, 60)  # seconds to connect, to answer


def fetch(config: Config, services: Services, session: requests.Session | None = None) -> bytes | None:
    """Fetch the public feed's bytes; None if there is none yet. Raises Fault, status NETWORK."""
    import requests

    session = session or services.public_session()
    try:
        answer = session.get(config.feed_url, timeout=TIMEOUT)
    except requests.RequestException as error:
        raise Fault(
            f"the published feed cannot be reached: {type(error).__name__}",
            where=config.feed_url,
            cure="check the network",
            status=Exit.NETWORK,
        ) from error
    if answer.status_code == 404:
        return None
    if answer.status_code != 200:
        raise Fault(f"the site answered {answer.status_code}", where=config.feed_url, status=Exit.NETWORK)
    return answer.content


def feed(config: Config, services: Services) -> Feed | None:
    """Fetch the public feed and check its signature; None if there is none yet."""
    data = fetch(config, services)
    return None if data is None else feeds.open_feed(data, config.feed_url, services.trusted_keys)
