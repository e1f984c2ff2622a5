"""Tests of the client library of OpenAI with a memory."""
