"""The command that checks a machine and an installation."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer

from diffad.cli.machine import (
    EXTRA_USES,
    describe_devices,
    describe_memory,
    list_absent_extras,
    list_versions,
)
from diffad.io.terminal import format_error, say, show

LEAST_MEMORY_GB = 4.0
"""Memory below which a whole scan may not fit."""


@dataclass(frozen=True)
class Check:
    """What one look showed.

    Args:
        name: What was looked at.
        status: "ok", "note" for what some commands lack, or "bad" for what stops all.
        text: What was seen, and what to do about it.
    """

    name: str
    status: str
    text: str


def doctor_command(
    test: Annotated[
        bool,
        typer.Option(help="Let the shipped model look at two slices of a toy brain, which takes seconds."),
    ] = True,
) -> None:
    """Check this machine and this installation: versions, devices, memory, extras, models, and a self test.

    The exit code is 1 if something is wrong that stops every command. What only some commands need is a note.

    \b
    Examples:
      diffad doctor
      diffad doctor --no-test --json
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    looks: list[Callable[[], list[Check]]] = [
        check_versions,
        check_devices,
        check_memory,
        check_extras,
        check_models,
        *([run_self_test] if test else []),
    ]
    checks: list[Check] = []
    for look in looks:
        for check in _run_guarded(look):
            checks.append(check)
            text = f"{check.status:>4}  {check.name}: {check.text}"
            show("check", text, name=check.name, status=check.status, text=check.text)
    bad, notes = (sum(check.status == word for check in checks) for word in ("bad", "note"))
    end = f"{bad} of {len(checks)} checks failed" if bad else "all is well"
    say(end + (f"; {notes} notes, for what only some commands need" if notes else ""))
    raise typer.Exit(1 if bad else 0)


def _run_guarded(look: Callable[[], list[Check]]) -> list[Check]:
    """Turn whatever goes wrong in a look into what it showed."""
    try:
        return look()
    except Exception as error:
        name = look.__name__.removeprefix("check_").removeprefix("run_").replace("_", " ")
        return [Check(name, "bad", format_error(error))]


def check_versions() -> list[Check]:
    """Look whether every package is there."""
    versions = list_versions()
    gaps = [name for name, version in versions.items() if version == "missing"]
    text = ", ".join(f"{name} {version}" for name, version in versions.items())
    if gaps:
        text = f"{', '.join(gaps)} missing; install what is missing: pip install {' '.join(gaps)}"
    return [Check("versions", "bad" if gaps else "ok", text)]


def check_devices() -> list[Check]:
    """Look where networks can run."""
    devices = describe_devices()
    gpus = [f"{gpu['name']} ({gpu['memory_gb']} GB)" for gpu in devices["gpus"]]
    cpu = f"cores: {devices['cores']}, threads: {devices['threads']}"
    text = f"{', '.join(gpus) or 'no GPU, so all runs on the CPU'}; {cpu}"
    return [Check("devices", "ok", text)]


def check_memory() -> list[Check]:
    """Look at memory and disk."""
    memory = describe_memory()
    free, disk = memory["free_memory_gb"], memory["free_disk_gb"]
    text = f"{free} of {memory['memory_gb']} GB free; {disk} GB free on this disk"
    is_low = free < LEAST_MEMORY_GB
    hint = "; a scan of 1 mm takes about 2 GB, so end other programs or take a larger machine"
    return [Check("memory", "note" if is_low else "ok", text + (hint if is_low else ""))]


def check_extras() -> list[Check]:
    """Look which optional packages are there."""
    absent = list_absent_extras()
    if not absent:
        return [Check("extras", "ok", f"{', '.join(EXTRA_USES)} are installed")]
    return [
        Check(
            "extras",
            "note",
            f"{name} lacks {', '.join(packages)}; {EXTRA_USES[name]}: pip install 'diffad[{name}]'",
        )
        for name, packages in absent.items()
    ]


def check_models() -> list[Check]:
    """Compare the files of the shipped models with what was written."""
    from diffad.io.digests import find_damage
    from diffad.models.pretrained import list_shipped_models

    models = list_shipped_models()
    damage = {name: find_damage(folder) for name, folder in models.items()}
    if problems := [f"{name}: {text}" for name, text in damage.items() if text]:
        hint = "install diffad anew: pip install --force-reinstall diffad"
        return [Check("models", "bad", f"{'; '.join(problems)}; {hint}")]
    text = ", ".join(models) or "none shipped"
    return [Check("models", "ok" if models else "bad", f"{text}; files are as they were written")]


def run_self_test() -> list[Check]:
    """Let a shipped model look at two slices of a toy brain, twice: the maps must be finite and the same."""
    import torch

    from diffad.models.pretrained import list_shipped_models
    from diffad.predict.run import choose_device, load_model

    start, device = time.perf_counter(), choose_device("auto")
    name = next(iter(list_shipped_models()))
    pipe = load_model(name, device)
    axes = torch.meshgrid(torch.linspace(-1, 1, 128), torch.linspace(-1, 1, 128), indexing="ij")
    distance = (axes[0] / 0.8) ** 2 + (axes[1] / 0.65) ** 2
    mask = (distance < 1)[None, None].repeat(2, 1, 1, 1)
    image = mask * (0.7 - 0.3 * distance.clamp(max=1))
    load_end, maps = time.perf_counter(), []
    for _ in range(2):
        maps.append(pipe(image, mask).anomaly_map)
    if not (torch.isfinite(maps[0]).all() and torch.equal(*maps)):
        return [Check("self test", "bad", f"{name} on {device}: maps are not finite, or differ between runs")]
    seconds = (time.perf_counter() - load_end) / 4
    total = time.perf_counter() - start
    text = (
        f"{name} on {device}: {seconds:.2f} s a slice, {total:.1f} s in all; a second run gave the same maps"
    )
    return [Check("self test", "ok", text)]
