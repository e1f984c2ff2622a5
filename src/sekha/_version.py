"""The version, for the package and for the user agent."""

__version__ = "0.2.0"
