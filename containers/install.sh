#!/bin/sh
# Makes the environment of the image, in two steps so that a change of diffad alone does not fetch torch again.
# Both container files run it, and so does tests/timings/container.py, where there is no container.
#   VENV          folder of the environment
#   TORCH_INDEX   index that torch is taken from, as that of the CPU build; empty is the usual one, with CUDA
set -eu

case "$1" in
torch)
    python3 -m venv "$VENV"
    set -- "$(grep '^torch==' constraints.txt)" ${TORCH_INDEX:+--index-url "$TORCH_INDEX"}
    "$VENV/bin/python" -m pip install --no-cache-dir "$@"
    ;;
diffad)
    "$VENV/bin/python" -m pip install --no-cache-dir -c constraints.txt ".[bids,dicom,prepare]"
    ;;
*)
    echo "install.sh: expected torch or diffad, got $1" >&2
    exit 2
    ;;
esac
