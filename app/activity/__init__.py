"""What the server is asked: requests as they run, the latest that ended, and sums by day."""

from app.activity.live import Activity as Activity
from app.activity.live import Call as Call
