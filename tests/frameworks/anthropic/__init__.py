"""Tests of the client library of Anthropic with a memory."""
