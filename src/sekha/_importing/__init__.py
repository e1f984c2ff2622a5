"""The decisions of an import, and its journal."""
