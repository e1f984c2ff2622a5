"""The pure modules, by table and by property."""
