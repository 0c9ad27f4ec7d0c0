"""`python -m diffad` is the command `diffad`."""

from __future__ import annotations

import sys

from diffad.cli import main

if __name__ == "__main__":
    sys.exit(main())
