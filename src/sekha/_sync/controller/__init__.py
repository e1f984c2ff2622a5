# Generated from src/sekha/_async/controller/__init__.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""The controller: conversations, search, and imports."""
