"""Properties are looked at quickly, and without a time limit for one example: machines are busy."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("quick", max_examples=60)
settings.load_profile("quick")
