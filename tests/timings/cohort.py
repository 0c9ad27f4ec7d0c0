"""Share of the network in a cohort's wall time: ``python tests/timings/cohort.py [SCANS] [STEPS]``.

Makes phantoms, runs the shipped model over them as ``diffad predict`` does (maps, tables, montage and page
written), and prints the time inside the network as a share of the wall time, reading and writing overlapped.
"""

import sys
import tempfile
import time
from pathlib import Path

import torch

from diffad.cli import main
from diffad.io.subjects import find_scans, group_subjects
from diffad.pipeline import AnomalyPipeline
from diffad.predict import Cohort, Options


def run(scans: int = 10, steps: int = 25) -> None:
    torch.set_flush_denormal(True)
    with tempfile.TemporaryDirectory() as folder:
        root, spent = Path(folder), []
        main(["phantom", "--out", str(root / "phantoms"), "--subjects", str(scans), "--spacing", "4"])
        pipe = AnomalyPipeline.from_pretrained("ixi-t1-axial")
        forward = pipe.network.forward

        def timed(*args, **kwargs):
            began = time.perf_counter()
            found = forward(*args, **kwargs)
            spent.append(time.perf_counter() - began)
            return found

        pipe.network.forward = timed
        sampler = {"name": "chain", "level": 250, "steps": steps}
        found = [
            p
            for p in find_scans([root / "phantoms"], mask="_desc-brain_mask").scans
            if "lesion" not in p.name
        ]
        cohort = Cohort(pipe, root / "maps", Options(sampler=sampler), "_desc-brain_mask", page=True)
        began = time.perf_counter()
        summary = cohort.run(group_subjects(found))
        wall = time.perf_counter() - began
        network = sum(spent)
        print(f"{summary}: {wall:.1f} s of wall time, {network:.1f} s in the network = {network / wall:.1%}")
        print(f"{len(spent)} evaluations of the network, {torch.get_num_threads()} threads")


if __name__ == "__main__":
    run(*map(int, sys.argv[1:]))
