"""What our clients call themselves."""

from __future__ import annotations

from service import VERSION


def user_agent(url: str) -> str:
    """``url`` of this instance, so that whoever is asked can look who asks."""
    return f"Fediviews/{VERSION} (+{url})"
