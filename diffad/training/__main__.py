"""`accelerate launch -m diffad.training CONFIG [key=value ...]`."""

from __future__ import annotations

import sys

from diffad.training.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
