"""Tests in what users run the library in, and with what they test it: frameworks, mocks, patched modules."""
