"""Verify a public side as a stranger meets it: everything over HTTP, nothing taken on trust.

The feed and all that it offers are fetched again. The keys come from the app inside the downloaded image,
which is what an installed copy will judge the next update by. Every check is a row of the result; a check
that had to be left out says why.
"""

from release.verify.expected import Expected as Expected
from release.verify.site import Hosts as Hosts
from release.verify.site import verify_site as verify_site
from release.verify.web import Limits as Limits
