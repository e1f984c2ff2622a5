"""The async flavour, written by hand; the blocking one is rendered from it."""
