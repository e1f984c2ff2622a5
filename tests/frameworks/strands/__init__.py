"""The adapter for Strands Agents: its own manager and agent, with a model that says what a list says."""
