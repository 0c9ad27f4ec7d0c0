"""`accelerate launch -m diffad.benchmark CONFIG [key=value ...]`."""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__":
    # from the first moment on: the imports below take seconds, and a launcher may stop its processes in them
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    from diffad.benchmark.run import run_benchmark_arguments

    sys.exit(run_benchmark_arguments(sys.argv[1:]))
