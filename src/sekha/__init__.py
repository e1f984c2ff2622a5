"""The Python client for Sekha, a self-hosted memory for AI applications."""
