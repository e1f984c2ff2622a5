"""What a local Sekha costs: time, processor and memory of its calls, on stores of several sizes.

    python bench/local.py --stores FOLDER [--messages 1000,10000,100000] [--against SRC] [--questions FILE]

A store is made once, through HTTP, of sentences that are the same on every machine (or of the lines of ``--texts
FILE``), and kept in the folder; what is measured is a copy of it, behind `sekha serve` in a process of its own, through
the client. ``--against SRC`` measures the folder ``src`` of another source tree too, server and client, on a store that
it has made. A cell is the median and the 95th percentile of what a caller waits, and after the dot the processor time
of the server for each call, all in milliseconds. ``--questions`` is a file of `bench/faq.py`.
"""

from keeping.command import main

if __name__ == "__main__":
    main(__doc__)
