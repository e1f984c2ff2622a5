# Generated from src/sekha/_async/http/__init__.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Connections: our own pool, and the adapter for httpx."""
