"""What the services offer: the table of endpoints, arguments, responses, errors. Nothing in it waits."""
