"""The parts of `bench/scorecard.py`: a fault server, a table of faults, clients, and what they are asked to do."""
