"""The Slurm script of docs/multi_node.md, run with stubs instead of the Slurm commands."""

import os
import signal
import subprocess
import time

import pytest

STUBS = {
    "scontrol": 'if [ "$1" = show ]; then echo node1; else touch "$HERE/requeued"; fi',
    "scancel": 'touch "$HERE/warned"',
    "srun": 'touch "$HERE/started"; while [ -n "$WAITS" ] && ! [ -f "$HERE/warned" ]; do sleep 0.05; done\n'
    'if [ -f "$HERE/warned" ]; then touch "$HERE/run/stopped.json"; exit 1; fi; exit "$ENDS_WITH"',
}


@pytest.mark.parametrize(
    ("ends_with", "warned", "code", "requeued"),
    [(0, False, 0, False), (3, False, 3, False), (1, True, 0, True)],
    ids=["success", "failure", "warning"],
)
def test_the_slurm_script_returns_the_exit_code_of_training_and_requeues_a_stopped_job(
    root, tmp_path, ends_with, warned, code, requeued
):
    text = (root / "docs" / "multi_node.md").read_text(encoding="utf-8")
    script = text.partition("## Slurm\n\n```bash\n")[2].partition("```")[0]
    script = script.replace("folder=/shared/work/my/pretraining/bilingual", f"folder={tmp_path}/run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "stopped.json").touch()  # left by an earlier job
    for name, body in STUBS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "HERE": str(tmp_path), "ENDS_WITH": str(ends_with),
        "WAITS": "yes" if warned else "", "SLURM_JOB_ID": "7", "SLURM_NNODES": "2", "SLURM_JOB_NODELIST": "node[1-2]",
    }  # fmt: skip
    job = subprocess.Popen(["bash", "-c", script], env=environment)
    if warned:
        while not (tmp_path / "started").exists():
            time.sleep(0.05)
        job.send_signal(signal.SIGUSR1)
    assert job.wait(60) == code
    assert (tmp_path / "requeued").exists() == requeued
