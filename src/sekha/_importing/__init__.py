"""The logic of imports and syncs, and their journal."""
