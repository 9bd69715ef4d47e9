"""The fault campaign in short; docs/reliability.md has the whole one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).with_name("campaign.py")
FAULTS = ["F2", "F9", "F13"] + ["F1"] * (shutil.which("strace") is not None) + ["F6"] * (os.geteuid() == 0)


@pytest.mark.slow
def test_the_campaign_finds_nothing_lost_and_nothing_repeated(tmp_path):
    chosen = [word for fault in FAULTS for word in ("--only", fault)]
    result = subprocess.run(
        [sys.executable, CAMPAIGN, "--folder", tmp_path, "--scale", "0.03", *chosen],
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert result.returncode == 0, result.stdout + result.stderr[-2000:]
    assert result.stdout.count(", 0 failures") == 4 + 5 + len(FAULTS) - 2, result.stdout
