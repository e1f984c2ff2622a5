# Generated from src/sekha/_async/__init__.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""`SekhaClient` and its services."""
