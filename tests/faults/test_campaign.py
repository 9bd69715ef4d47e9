"""The fault campaign in short; docs/reliability.md has the whole one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kills import MEMORY_GROUPS

CAMPAIGN = Path(__file__).with_name("campaign.py")
ENGINES_OF_F2 = 4
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="fills disks and limits memory as root")


@pytest.mark.slow
@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(
            ["F1"], marks=pytest.mark.skipif(not shutil.which("strace"), reason="needs strace"), id="system-calls"
        ),
        pytest.param(["F2", "F9", "F10", "F14", "F17"], id="kills"),
        pytest.param(["F6", "F7", *(["F11"] if os.access(MEMORY_GROUPS, os.W_OK) else [])], marks=AS_ROOT, id="disks"),
    ],
)
def test_the_campaign_finds_nothing_lost_and_nothing_repeated(faults, tmp_path):
    chosen = [word for fault in faults for word in ("--only", fault)]
    result = subprocess.run(
        [sys.executable, CAMPAIGN, "--folder", tmp_path, "--scale", "0.02", *chosen],
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert result.returncode == 0, result.stdout + result.stderr[-2000:]
    results = len(faults) + (ENGINES_OF_F2 - 1 if "F2" in faults else 0)
    assert result.stdout.count(", 0 failures") == results, result.stdout
