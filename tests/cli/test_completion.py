"""Completion in a shell: what bash is answered, and that it can be installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from diffad.cli.completion import name_shell

ROOT = Path(__file__).resolve().parents[2]
ANSWER = "import sys; sys.argv = ['diffad', *sys.argv[1:]]; from diffad.cli import main; sys.exit(main())"


def run(*words, **environment):
    return subprocess.run(
        [sys.executable, "-c", ANSWER, *words],
        cwd=ROOT,
        env={**os.environ, "SHELL": "/bin/bash", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("diffad pre", ["predict", "prepare", "pretrain"]),
        ("diffad predict --th", ["--threshold"]),
        ("diffad predict --model ix", ["ixi-t1-axial"]),
        ("diffad train smo", ["smoke"]),
        ("diffad benchmark benchmark_sm", ["benchmark_smoke"]),
        ("diffad list sam", ["samplers"]),
        ("diffad models pu", ["pull", "push"]),
    ],
)
def test_bash_is_answered(line, expected):
    words = line.split()
    place = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    answer = run(_DIFFAD_COMPLETE="complete_bash", **place)
    assert answer.stdout.split() == expected, answer.stderr


@pytest.mark.parametrize("words", [["bash"], []])
def test_completion_is_installed_for_bash(tmp_path, words):
    answer = run("--install-completion", *words, HOME=str(tmp_path), SHELL="/bin/bash")
    assert answer.returncode == 0, answer.stderr
    script = tmp_path / ".bash_completions" / "diffad.sh"
    assert "_DIFFAD_COMPLETE=complete_bash" in script.read_text()
    assert str(script) in (tmp_path / ".bashrc").read_text()


@pytest.mark.parametrize(
    ("above", "account", "name"),
    [
        ("zsh", "/bin/bash", "zsh"),
        ("sh", "/bin/fish", "fish"),
        (None, "/bin/sh", "bash"),
        (None, None, "bash"),
    ],
)
def test_a_shell_that_completes_nothing_is_passed_over(monkeypatch, above, account, name):
    def detect():
        if above is None:
            raise OSError
        return above, f"/bin/{above}"

    monkeypatch.setattr("shellingham.detect_shell", detect)
    monkeypatch.delenv("SHELL", raising=False)
    if account:
        monkeypatch.setenv("SHELL", account)
    assert name_shell(["--install-completion"]) == ["--install-completion", name]
