"""What `bench/speed.py` is made of, and the search that all sides make."""

HITS = 10
BODY = {"query": "docker", "limit": HITS, "offset": 0}
