# Generated from src/sekha/_async/operations/__init__.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Operations of several requests that two services share."""
