"""The command lines in the files for SLURM and Kubernetes, without a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from .conftest import Run
from .test_predict_archive import check_tables

pytestmark = pytest.mark.integration

DOCS = Path(__file__).resolve().parents[2] / "docs" / "scale"
PROGRAM = [".venv/bin/python", "scripts/predict_archive.py"]


def filled(words: list[str], environment: Mapping[str, str]) -> list[str]:
    """The arguments of a command, with ``$NAME`` and ``$(NAME)`` replaced."""
    assert words[: len(PROGRAM)] == PROGRAM
    return [re.sub(r"\$\(?(\w+)\)?", lambda match: environment[match.group(1)], word) for word in words[len(PROGRAM) :]]


def slurm_command(environment: Mapping[str, str]) -> list[str]:
    """What a task of the array runs."""
    text = (DOCS / "predict_archive.slurm").read_text(encoding="utf-8")
    (command,) = re.findall(r"^exec (.+)$", text, re.MULTILINE)
    assert "\nN=$SLURM_ARRAY_TASK_COUNT\n" in text
    return filled(shlex.split(command), {**environment, "N": environment["SLURM_ARRAY_TASK_COUNT"]})


def kubernetes_command(environment: Mapping[str, str]) -> list[str]:
    """What a pod runs; the number of pods is that of the file."""
    job = yaml.safe_load((DOCS / "predict_archive.job.yaml").read_text(encoding="utf-8"))["spec"]
    (container,) = job["template"]["spec"]["containers"]
    assert (job["completionMode"], job["completions"]) == ("Indexed", 100)
    return filled(
        container["command"], {entry["name"]: entry.get("value", "") for entry in container["env"]} | environment
    )


def test_the_tasks_of_a_slurm_array_do_the_archive(
    run: Run, collected: Callable[[object], Path], images: Path, predicted: Path, tmp_path: Path
) -> None:
    environment = {"SOURCE": str(images), "OUTPUT": str(tmp_path / "out"), "SLURM_ARRAY_TASK_COUNT": "2"}
    text = (DOCS / "predict_archive.slurm").read_text(encoding="utf-8")
    (plan,) = re.findall(r"^#   (.+--plan-only)$", text, re.MULTILINE)
    assert run(*filled(shlex.split(plan), environment), "--part-size", 3) == 0
    for task in range(2):
        assert run(*slurm_command({**environment, "SLURM_ARRAY_TASK_ID": str(task)})) == 0
    check_tables(collected(tmp_path / "out"), predicted)


def test_a_pod_of_an_indexed_job_does_its_share(run: Run, images: Path, tmp_path: Path) -> None:
    environment = {"SOURCE": str(images), "OUTPUT": str(tmp_path / "out")}
    arguments = kubernetes_command({**environment, "JOB_COMPLETION_INDEX": "1"})
    assert arguments[-2:] == ["--shard", "1/100"]
    assert run(*arguments, "--part-size", 4) == 0
    assert [path.name for path in (tmp_path / "out" / "parts").iterdir()] == ["part-0000001.parquet"]
