"""The fault campaign in short; docs/reliability.md has the whole one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kills import MEMORY_GROUPS

CAMPAIGN = Path(__file__).with_name("campaign.py")
FAULTS = ["F2", "F9", "F10", "F14", "F17"]
if shutil.which("strace"):
    FAULTS.append("F1")
if os.geteuid() == 0:
    FAULTS += ["F6", "F7"]
    if os.access(MEMORY_GROUPS, os.W_OK):
        FAULTS.append("F11")


@pytest.mark.slow
def test_the_campaign_finds_nothing_lost_and_nothing_repeated(tmp_path):
    chosen = [word for fault in FAULTS for word in ("--only", fault)]
    result = subprocess.run(
        [sys.executable, CAMPAIGN, "--folder", tmp_path, "--scale", "0.02", *chosen],
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert result.returncode == 0, result.stdout + result.stderr[-2000:]
    engines_of_f2 = 4
    assert result.stdout.count(", 0 failures") == engines_of_f2 + len(FAULTS) - 1, result.stdout
