"""Small helpers for all layers above."""
