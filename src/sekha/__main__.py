"""``python -m sekha`` is the same as ``sekha``."""

import sys

from sekha.cli import main

sys.exit(main())
