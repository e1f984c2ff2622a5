"""`AsyncSekhaClient` and its services."""
