"""What time it is, as records say it."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """The time in UTC, in ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
