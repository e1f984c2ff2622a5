"""What `bench/speed.py` is made of."""
