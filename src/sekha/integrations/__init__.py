"""Adapters to other packages, one module for each; none is imported before you import it, and each has its extra."""
