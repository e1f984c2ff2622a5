"""Adapters to other packages, one module each; they are imported only on request, and each has its own extra."""
