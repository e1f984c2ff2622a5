"""The adapter for Google's ADK: its own runner, with a model that says what a list says."""
