"""Concurrency for tasks and threads alike; it imports nothing of sekha."""
