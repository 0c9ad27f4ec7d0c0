"""Install and run what the Dockerfile does where there is no container; run by hand, as root, some minutes.

The build stage runs in a folder: its COPY and RUN lines as they are read from the Dockerfile. The App then
runs with the variables of the image, as another user, without a network, with a root file system that is
read-only, and without a home.

    python -m tests.timings.container --place /var/tmp/container [--head HEAD.nii.gz] [--model NAME]
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.helpers.container_file import ROOT, read_stages

USER = 12345
"""A user that nobody knows."""
HIDE = """
mount --bind {base} {python}
mount -t tmpfs -o mode=755 tmpfs {top}
mkdir -p {base}
mount --bind {python} {base}
"""
"""The Python of the environment may lie in a home that is closed; what lies beside it is hidden."""
JAIL = """
set -eu
mount --make-rprivate /
{hide}
mount --bind {out} {out}
mount -o remount,bind,ro /
mount -t tmpfs tmpfs /tmp
cd /tmp
exec setpriv --reuid {user} --regid {user} --clear-groups --no-new-privs env -i {words}
"""
"""Root read-only but for the folder of results, /tmp fresh, and then the program as another user."""


def build(place, index):
    """Do what the build stage does, in a folder of its own."""
    build_stage, image = read_stages()
    source, environment = place / "src", place / "opt" / "diffad"
    source.mkdir(parents=True)
    values = build_stage.variables(TORCH_INDEX=index) | {"VENV": str(environment)}
    for word, rest in build_stage.instructions:
        if word == "COPY":
            *names, target = shlex.split(rest)
            for name in names:
                copy(ROOT / name, source / target)
        if word == "RUN":
            start = time.perf_counter()
            subprocess.run(["sh", "-euc", rest], cwd=source, env=os.environ | values, check=True)
            print(f"{rest}: {time.perf_counter() - start:.0f} s", flush=True)
    (copied,) = [shlex.split(rest) for rest in image.rest("COPY") if "entrypoint.sh" in rest]
    target = environment / Path(copied[-1]).relative_to("/opt/diffad")
    shutil.copy(ROOT / copied[-2], target)
    target.chmod(0o755)
    return environment, image.variables()


def copy(source, target):
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def write_tree(place, environment, head):
    """Write a data set of one head, or of a phantom that the installed program makes."""
    code = (
        "from diffad.data.phantom import PhantomOptions, make_phantoms; from pathlib import Path; import sys;"
        "make_phantoms(Path(sys.argv[1]), 1, PhantomOptions(('t1',), 0.0, ('ischaemia',), 0, 2.0))"
    )
    if head is None:
        subprocess.run([environment / "bin/python", "-c", code, place / "phantoms"], check=True, cwd=place)
        head = next((place / "phantoms").rglob("*_T1w.nii.gz"))
    anat = place / "bids" / "sub-01" / "anat"
    anat.mkdir(parents=True)
    shutil.copy(head, anat / "sub-01_T1w.nii.gz")
    about = '{"Name": "one head", "BIDSVersion": "1.10.0"}'
    (place / "bids" / "dataset_description.json").write_text(about)
    return place / "bids"


def run_jailed(environment, variables, out, words):
    """Run the program of the image as a container would, and return its exit code."""
    values = {k: v.replace("/opt/diffad", str(environment)) for k, v in variables.items() if k != "VERSION"}
    values["PATH"] = f"{environment}/bin:/usr/bin:/bin"
    given = [f"{key}={value}" for key, value in values.items()]
    line = shlex.join([*given, "HOME=/nonexistent", "diffad-entrypoint", *map(str, words)])
    base, python = Path(sys.base_prefix), out.parent / "python"
    python.mkdir(exist_ok=True)
    places = {"out": out, "base": base, "python": python, "top": Path(*base.parts[:2])}
    quoted = {name: shlex.quote(str(path)) for name, path in places.items()}
    hide = "" if base.is_relative_to("/usr") else HIDE.format(**quoted)
    script = JAIL.format(**quoted, hide=hide, user=USER, words=line)
    start = time.perf_counter()
    done = subprocess.run(["unshare", "--net", "--mount", "sh", "-c", script], check=False)
    print(
        f"exit code {done.returncode} of {shlex.join(map(str, words))}: {time.perf_counter() - start:.0f} s"
    )
    return done.returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--place", type=Path, required=True, help="folder not in /tmp; a new one, or that of a run before"
    )
    parser.add_argument("--head", type=Path, help="a T1 head; a phantom by default")
    parser.add_argument(
        "--index", default="", help="index that torch is taken from; the usual one by default"
    )
    parser.add_argument("--model", default="ixi-t1-axial")
    options = parser.parse_args()
    if (options.place / "out").exists():
        environment, variables = options.place / "opt" / "diffad", read_stages()[1].variables()
        tree, out = options.place / "bids", options.place / "out"
    else:
        environment, variables = build(options.place, options.index)
        tree, out = write_tree(options.place, environment, options.head), options.place / "out"
        out.mkdir()
    os.chown(out, USER, USER)
    app = [tree, out, "participant", "--model", options.model, "-w", out / "work", "--nprocs", "1"]
    codes = [
        run_jailed(environment, variables, out, words) for words in (["--version"], app, [tree, out, "group"])
    ]
    words = ["diffad", "predict", tree / "sub-01/anat/sub-01_T1w.nii.gz", "--prepare", "--out", out / "plain"]
    codes.append(run_jailed(environment, variables, out, [*words, "--model", options.model]))
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
