"""The async flavour."""
