"""`accelerate launch -m diffad.predict SCAN...` runs the command `diffad predict`, on several processes."""

from __future__ import annotations

import runpy
import sys

if __name__ == "__main__":
    sys.argv[1:1] = ["predict"]
    runpy.run_module("diffad", run_name="__main__", alter_sys=True)
