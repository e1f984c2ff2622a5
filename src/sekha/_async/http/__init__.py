"""Connections: our own pool, and the adapter for httpx."""
