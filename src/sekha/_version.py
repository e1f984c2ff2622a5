"""The version, for the package and for the user agent."""

__version__ = "0.3.0.dev0"
