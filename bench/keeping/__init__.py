"""What `bench/local.py` is made of: texts to keep, a server in a process of its own, and what is timed."""
