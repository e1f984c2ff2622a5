"""The controller: conversations, search, and imports."""
