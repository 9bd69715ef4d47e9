"""What happens to a running job from outside: signals, lost processes, full disks. Real processes, real files."""

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch.distributed as dist

from bimed_dist import manifest
from bimed_dist.pretraining import checkpoints

TIMEOUT = 240
"""Seconds for what takes ten on a quiet machine."""
LONG = (
    "--set", "pretraining.run.steps=5000", "--set", "pretraining.run.checkpoint_every=20",
    "--set", "pretraining.run.validate_every=5000",
)  # fmt: skip
LOST_AFTER = 15
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")


def wait_for(condition, job, seconds: float = TIMEOUT) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert job.running(), job.output()
        assert time.monotonic() < deadline, job.output()
        time.sleep(0.01)


def saved(job) -> list[Path]:
    return sorted(p for p in (job.folder() / "checkpoints").glob("step-*") if p.suffix != ".partial")


def newest_step(job) -> int:
    return checkpoints.newest(job.folder() / "checkpoints")[1]["step"]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}


@pytest.mark.parametrize(
    ("number", "engine", "rank"),
    [(signal.SIGTERM, "zero2", 1), (signal.SIGUSR1, "ddp", 0), (signal.SIGINT, "single", 0)],
    ids=["SIGTERM", "SIGUSR1", "SIGINT"],
)
def test_a_signal_to_one_rank_ends_all_with_a_committed_checkpoint_and_exit_code_75(job, forks, number, engine, rank):
    running = forks.start(job.arguments(*LONG), 1 if engine == "single" else 2, engine)
    wait_for(lambda: saved(job), running)
    running.kill(number, [rank])
    start = time.monotonic()
    assert set(running.wait(TIMEOUT)) == {75}
    assert time.monotonic() - start < 25
    step = newest_step(job)
    assert f"stopped on request after step {step}; continue with --resume auto" in running.output()
    assert f"after step {step}" in json.loads((job.folder() / "stopped.json").read_text(encoding="utf-8"))["why"]


def test_a_second_signal_seconds_later_ends_the_process_at_once(job, forks):
    never_ending = """
import time
from bimed_dist.pretraining import loop
def step(self, number, stop, before=loop.Trainer.step):
    result = before(self, number, stop)
    while stop[0]:
        time.sleep(1)
    return result
loop.Trainer.step = step
"""
    running = forks.start(job.arguments(*LONG), patch=never_ending)
    wait_for(lambda: saved(job), running)
    running.kill(signal.SIGTERM)
    time.sleep(1)
    running.kill(signal.SIGTERM)  # as when the launcher passes the scheduler's signal on
    time.sleep(3)
    assert running.running()
    running.kill(signal.SIGTERM)
    assert running.wait(5) == [-signal.SIGTERM]


def test_a_second_signal_ends_a_process_whose_main_thread_waits_for_another(job, forks):
    """As in a collective that a lost rank never comes to: Python's handlers would never run."""
    waiting = """
import ctypes
from bimed_dist.pretraining import loop
def step(self, number, stop, before=loop.Trainer.step):
    if number == 2:
        print("waits", flush=True)
        mutex = ctypes.create_string_buffer(64)
        for _ in range(2):  # the second time for ever, and no signal interrupts it
            ctypes.CDLL(None).pthread_mutex_lock(mutex)
    return before(self, number, stop)
"""
    running = forks.start(job.arguments(*LONG), patch=waiting + "loop.Trainer.step = step\n")
    wait_for(lambda: "waits" in running.output(), running)
    running.kill(signal.SIGTERM)
    time.sleep(4)
    assert running.running()
    running.kill(signal.SIGTERM)
    assert running.wait(5) == [-signal.SIGTERM]


def test_a_used_up_time_budget_ends_like_a_signal_and_the_next_launch_goes_on(job, forks):
    closing = """
from bimed_dist.pretraining import distributed
def close(self, before=distributed.Engine.close):
    before(self)
    print("engine closed")
distributed.Engine.close = close
"""
    running = forks.start(job.arguments(*LONG, "--set", "pretraining.run.time_budget=0.001"), 2, "ddp", closing)
    assert running.wait(TIMEOUT) == [75, 75], running.output()
    assert running.output().count("engine closed") == 2  # torch's own end may hang where DDP is still there
    step = newest_step(job)
    assert f"stopped at the end of time_budget after step {step}" in running.output()
    more = forks.start(job.arguments(*LONG, "--resume", "auto"))
    wait_for(lambda: "continuing from" in more.output(), more)
    assert not (job.folder() / "stopped.json").exists()
    more.kill(signal.SIGKILL)
    more.wait(5)


def test_a_stopped_rank_is_named_and_ends_the_job_within_the_timeout_and_ten_seconds(job, forks):
    shared_memory = set(os.listdir("/dev/shm"))
    options = ("--set", f"pretraining.run.lost_after={LOST_AFTER}", "--set", "pretraining.run.global_batch=12")
    running = forks.start(job.arguments(*LONG, *options), 3, "ddp")
    wait_for(lambda: saved(job), running)
    running.kill(signal.SIGSTOP, [1])
    start = time.monotonic()
    assert running.wait(TIMEOUT) == [4, -signal.SIGKILL, 4]
    assert time.monotonic() - start < LOST_AFTER + 10
    named = f"rank 1 (process {running.pids[1]} on {os.uname().nodename}) has given no sign of life for {LOST_AFTER} s"
    assert running.output().count(named) >= 1
    assert set(os.listdir("/dev/shm")) <= shared_memory


@pytest.mark.slow
def test_a_hung_rank_is_named_and_says_where_and_one_that_is_long_at_other_work_is_left_alone(job, forks):
    patch = """
import os, time
from bimed_dist.pretraining import loop, watch
watch._HUNG_AFTER = 4.0
def slowly(seconds, ranks, before):
    def call(*given):
        time.sleep(seconds * (os.environ["RANK"] in ranks))
        return before(*given)
    return call
loop.Trainer.validate = slowly(12, "1", loop.Trainer.validate)
loop.Trainer.finish_save = slowly(12, "0", loop.Trainer.finish_save)
def step(self, number, stop, before=loop.Trainer.step):
    time.sleep(12 * (number == 0 and os.environ["RANK"] == "0"))
    while number == 7 and os.environ["RANK"] == "1":
        time.sleep(1)
    return before(self, number, stop)
loop.Trainer.step = step
"""
    options = ("--set", "pretraining.run.checkpoint_every=3", "--set", "pretraining.run.validate_every=6")
    running = forks.start(job.arguments(*options), 2, "ddp", patch)
    assert running.wait(TIMEOUT) == [4, -signal.SIGKILL], running.output()
    assert f"rank 1 (process {running.pids[1]} on {os.uname().nodename}) hangs: 4 s behind" in running.output()
    assert 'File "<patch>", line 15 in step' in running.output()  # of faulthandler


@pytest.mark.parametrize("engine", ["ddp", pytest.param("zero3", marks=pytest.mark.slow)])
def test_a_killed_rank_is_named_by_the_others(job, forks, engine):
    running = forks.start(job.arguments(*LONG), 2, engine)
    wait_for(lambda: saved(job), running)
    running.kill(signal.SIGKILL, [1])
    start = time.monotonic()
    assert running.wait(TIMEOUT) == [4, -signal.SIGKILL], running.output()
    assert time.monotonic() - start < 20
    assert f"error: rank 1 (process {running.pids[1]} on {os.uname().nodename}) has gone" in running.output()


# ------------------------------------------------------------------------------------------------------------- the disk


@contextlib.contextmanager
def small_disk(job, base: Path, size: str):
    """The job's work folder on a file system of its own."""
    mount = base / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", mount], check=True)
    try:
        yield job.copy(mount / "work"), mount
    finally:
        subprocess.run(["umount", "-l", mount], check=True)


@needs_root
def test_a_disk_without_room_for_the_checkpoints_is_refused_before_the_first_step(job, tmp_path, forks):
    with small_disk(job, tmp_path, "5m") as (small, _):
        running = forks.start(small.arguments(*LONG, "--set", "pretraining.run.keep_checkpoints=9"), 2, "zero1")
        assert running.wait(TIMEOUT) == [2, 2]
        assert running.output().count("GB are needed for 11 checkpoints of 0.001 GB") == 2
        assert not (small.folder() / "metrics.jsonl").exists()


@needs_root
def test_a_disk_that_fills_up_is_told_by_all_ranks_and_the_run_goes_on_after_room_was_made(job, tmp_path, forks):
    with small_disk(job, tmp_path, "40m") as (small, mount):
        running = forks.start(small.arguments(*LONG), 2, "zero2")
        wait_for(lambda: saved(small), running)
        with (mount / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 65536)
        codes = running.wait(TIMEOUT)
        assert set(codes) <= {2, 4}, running.output()  # 4: the other rank could not even write its metrics
        assert "No space left on device" in running.output()
        assert running.output().count("error: ") == 2
        before = newest_step(small)
        (mount / "filler").unlink()
        more = forks.start(small.arguments(*LONG, "--resume", "auto"), 2, "zero2")
        wait_for(lambda: newest_step(small) > before, more)
        more.kill(signal.SIGTERM)
        assert more.wait(TIMEOUT) == [75, 75]


@needs_root
def test_a_read_only_work_folder_is_told_before_the_first_step(job, tmp_path, forks):
    with small_disk(job, tmp_path, "40m") as (small, mount):
        subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
        running = forks.start(small.arguments(*LONG), 2, "ddp")
        assert running.wait(TIMEOUT) == [2, 2]
        assert running.output().count("error: [Errno 30] Read-only file system") == 2


# --------------------------------------------------------------------------------------------------------- the launcher


class Launched:
    """A job under `accelerate launch`, with the interface of a forked one."""

    def __init__(self, job, *arguments: str, launcher: str, log: Path, more: dict[str, str] | None = None) -> None:
        self._log = log
        command = job.command(*arguments, launcher=launcher)
        with log.open("w") as file:
            self.process = subprocess.Popen(
                command, cwd=job.root, env={**environment(), **(more or {})}, stdout=file, stderr=subprocess.STDOUT
            )

    def running(self) -> bool:
        return self.process.poll() is None

    def output(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def ranks(self) -> list[psutil.Process]:
        return [p for p in psutil.Process(self.process.pid).children() if "pretrain.py" in " ".join(p.cmdline())]


@pytest.mark.slow
def test_the_launcher_passes_a_stop_on_and_leaves_a_file_for_scripts_and_no_secret_anywhere(job, tmp_path):
    token = "canary-3f1c9d2e7b"
    secrets = {"WANDB_API_KEY": token, "HF_TOKEN": token}
    running = Launched(job, *LONG, launcher="cpu.yaml", log=tmp_path / "log", more=secrets)
    try:
        wait_for(lambda: saved(job), running)
        running.process.send_signal(signal.SIGTERM)
        start = time.monotonic()
        code = running.process.wait(TIMEOUT)
        assert time.monotonic() - start < 25
    finally:
        running.process.kill()
    assert code != 0 and (job.folder() / "stopped.json").is_file(), running.output()
    assert f"after step {newest_step(job)}" in running.output()
    written = [running._log, *(p for p in job.work.rglob("*") if p.is_file())]
    assert not [path for path in written if token.encode() in path.read_bytes()]
    assert not (job.root / ".deepspeed_env").exists()


def test_a_process_whose_launcher_is_killed_while_it_imports_torch_ends_too(job, tmp_path):
    """A shell in place of the launcher: what starts is the program with a rank's environment."""
    log = tmp_path / "log"
    log.touch()
    shell = subprocess.Popen(
        ["sh", "-c", f"{shlex.join(job.command())} > {shlex.quote(str(log))} 2>&1 & echo $!; wait"],
        cwd=job.root, env={**environment(), "RANK": "0", "PYTHONVERBOSE": "1"}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    program = psutil.Process(int(shell.stdout.readline()))
    deadline = time.monotonic() + TIMEOUT
    while "import 'torch._C'" not in log.read_text():
        assert time.monotonic() < deadline and program.is_running()
        time.sleep(0.01)
    shell.kill()
    shell.wait(5)
    assert not psutil.wait_procs([program], timeout=5)[1]


@pytest.mark.skipif(b"python" in Path("/proc/1/cmdline").read_bytes(), reason="who adopts orphans here is Python")
def test_a_process_whose_launcher_was_gone_before_it_could_notice_ends_at_once(job, tmp_path):
    """A launcher that ends while the process it has started still waits to become the program."""
    rank = {**environment(), "RANK": "0", "TORCHELASTIC_RUN_ID": "none"}
    late = f"echo $$; sleep 2; exec {shlex.join(job.command())}"
    launcher = f"import subprocess; subprocess.Popen(['sh', '-c', {late!r}], start_new_session=True)"
    with (tmp_path / "log").open("w") as log:
        subprocess.run([sys.executable, "-c", launcher], cwd=job.root, env=rank, stdout=log, stderr=log, check=True)
    deadline = time.monotonic() + 30
    while "the launcher of this process has gone" not in (tmp_path / "log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    program = int((tmp_path / "log").read_text().split()[0])
    while psutil.pid_exists(program):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_a_killed_launcher_leaves_no_process_and_no_shared_memory(job, tmp_path):
    shared_memory = set(os.listdir("/dev/shm"))
    running = Launched(job, *LONG, launcher="cpu.yaml", log=tmp_path / "log")
    wait_for(lambda: saved(job), running)
    ranks = running.ranks()
    assert len(ranks) == 2
    running.process.kill()
    running.process.wait(5)
    _, alive = psutil.wait_procs(ranks, timeout=5)
    assert not alive
    assert set(os.listdir("/dev/shm")) <= shared_memory


@pytest.mark.slow
def test_a_stop_of_the_launcher_of_one_process_ends_training_with_a_checkpoint(job, tmp_path):
    running = Launched(job, *LONG, launcher="one_gpu.yaml", log=tmp_path / "log")
    wait_for(lambda: saved(job), running)
    ranks = running.ranks()
    running.process.terminate()
    running.process.wait(5)
    _, alive = psutil.wait_procs(ranks, timeout=25)
    for process in alive:
        process.kill()
    assert len(ranks) == 1 and not alive
    assert f"after step {newest_step(job)}" in (job.folder() / "stopped.json").read_text(encoding="utf-8")


def training_pipeline(job, log_folder, launcher: str) -> subprocess.Popen:
    """A pipeline whose training has saved a checkpoint."""
    command = [*job.command()[:1], "launch/pipeline.py", *job.arguments(*LONG)]
    command += ["--set", f"pretraining.run.accelerate_config={launcher}"]
    before = saved(job)
    with (log_folder / "log").open("a") as log:
        pipeline = subprocess.Popen(command, cwd=job.root, env=environment(), stdout=log, stderr=log)
    deadline = time.monotonic() + TIMEOUT
    while saved(job) == before:
        assert pipeline.poll() is None and time.monotonic() < deadline, (log_folder / "log").read_text()
        time.sleep(0.05)
    return pipeline


@pytest.mark.slow
def test_a_stop_of_the_pipeline_with_one_process_ends_it_with_a_checkpoint_and_exit_code_75(job, tmp_path):
    pipeline = training_pipeline(job, tmp_path, "one_gpu.yaml")
    pipeline.terminate()
    assert pipeline.wait(25) == 75, (tmp_path / "log").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["one_gpu.yaml", "cpu_ddp.yaml"])
def test_a_killed_pipeline_stops_its_training_with_a_checkpoint(job, tmp_path, launcher):
    pipeline = training_pipeline(job, tmp_path, launcher)
    started = psutil.Process(pipeline.pid).children(recursive=True)
    pipeline.kill()
    pipeline.wait(5)
    _, alive = psutil.wait_procs(started, timeout=35)
    for process in alive:
        process.kill()
    assert started and not alive
    assert f"after step {newest_step(job)}" in (job.folder() / "stopped.json").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_pipeline_tells_by_which_signal_its_training_was_killed(job, tmp_path):
    pipeline = training_pipeline(job, tmp_path, "one_gpu.yaml")
    for process in psutil.Process(pipeline.pid).children():
        process.kill()
    assert pipeline.wait(25) == 2
    assert "was killed by SIGKILL, most likely for lack of memory" in (tmp_path / "log").read_text()


@pytest.mark.slow
def test_a_launch_that_fails_early_is_not_said_to_be_stopped_because_the_one_before_was(job, forks):
    before = forks.start(job.arguments(*LONG, "--set", "pretraining.run.time_budget=0.001"))
    assert before.wait(TIMEOUT) == [75], before.output()
    assert (job.folder() / "stopped.json").is_file()
    command = [*job.command()[:1], "launch/pipeline.py", *job.arguments(*LONG)]
    with manifest.locked(job.folder()):
        result = subprocess.run(command, cwd=job.root, env=environment(), capture_output=True, text=True)
    assert result.returncode == 2, result.stderr
    assert "is being filled by process" in result.stderr


def test_a_restart_goes_on_where_only_an_earlier_launch_was_stopped_on_request(job, forks):
    # Refused before any engine is made, since other machines' launchers may have ended.
    restarted = (
        "import os; os.environ['TORCHELASTIC_RESTART_COUNT'] = '1'\n"
        "from bimed_dist.pretraining import stage; made = stage.Engine\n"
        "stage.Engine = lambda settings: (print('engine made'), made(settings))[1]\n"
    )
    same = "from bimed_dist.pretraining import stage; stage.launch_identity = lambda: 'one'\n"
    before = forks.start(job.arguments(*LONG, "--set", "pretraining.run.time_budget=0.001"), patch=same)
    assert before.wait(TIMEOUT) == [75], before.output()
    again = forks.start(job.arguments(*LONG), patch=restarted + same)
    assert again.wait(TIMEOUT) == [75] and "not restarted" in again.output() and "engine made" not in again.output()
    step = newest_step(job)
    later = forks.start(job.arguments(*LONG, "--set", "pretraining.run.time_budget=0.001"), patch=restarted)
    assert later.wait(TIMEOUT) == [75], later.output()
    assert newest_step(job) > step


@pytest.mark.slow
def test_the_launchers_restarts_continue_from_the_last_commit_by_themselves(job, tmp_path):
    options = ("--set", "pretraining.run.steps=300", "--set", "pretraining.run.checkpoint_every=20")
    whole = job.copy(tmp_path / "whole")
    assert whole.run(*options, launcher="cpu_ddp.yaml").returncode == 0
    command = job.command(*options, launcher="cpu_ddp.yaml")
    at = command.index("launch/pretrain.py")
    job_with_restarts = Launched.__new__(Launched)
    job_with_restarts._log = tmp_path / "log"
    with job_with_restarts._log.open("w") as file:
        job_with_restarts.process = subprocess.Popen(
            [*command[:at], "--max_restarts", "2", *command[at:]],
            cwd=job.root, stdout=file, stderr=subprocess.STDOUT, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    wait_for(lambda: saved(job), job_with_restarts)
    job_with_restarts.ranks()[1].kill()
    assert job_with_restarts.process.wait(TIMEOUT) == 0, job_with_restarts.output()
    assert "continuing from" in job_with_restarts.output()
    files = [j.folder() / "export" / "model.safetensors" for j in (job, whole)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_process_that_was_restarted_less_often_than_others_ends_to_be_restarted(job, forks):
    """As where two machines' launchers count: rank 1 was restarted, and rank 0 would wait for it in vain."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    launched = {"MASTER_PORT": str(store.port), "TORCHELASTIC_MAX_RESTARTS": "2"}
    launched["TORCHELASTIC_USE_AGENT_STORE"] = "True"
    count = "import os; os.environ['TORCHELASTIC_RESTART_COUNT'] = os.environ['RANK']\n"
    running = forks.start(job.arguments(), 2, "ddp", patch=count, more=launched)
    wait_for(lambda: running.running() == [1], running, 60)
    assert "processes of another machine were restarted once more" in running.output()
    running.kill(signal.SIGKILL)
    assert running.wait(10) == [4, -signal.SIGKILL]


def test_processes_of_another_launcher_are_refused_with_the_reason(job, forks):
    running = forks.start(job.arguments(), 2, "zero2", patch="import os; del os.environ['TORCHELASTIC_RUN_ID']")
    assert running.wait(TIMEOUT) == [2, 2]
    assert "append the whole environment, secrets included, to a file .deepspeed_env" in running.output()


@pytest.mark.parametrize("name", ["ACCELERATE_USE_FSDP", "ACCELERATE_DYNAMO_BACKEND"])
def test_engines_whose_weights_checkpoints_would_not_hold_are_refused(job, forks, name):
    running = forks.start(job.arguments(), 2, "ddp", patch=f"import os; os.environ['{name}'] = 'inductor'")
    assert running.wait(TIMEOUT) == [2, 2]
    assert "which checkpoints don't know; they know plain DDP and DeepSpeed ZeRO" in running.output()


def test_a_recipe_that_names_another_launcher_is_refused_before_anything_starts(prepared, tmp_path):
    root = tmp_path / "repository"
    shutil.copytree(prepared.root / "launch", root / "launch")
    folder = root / "ds_configs" / "accelerate"
    folder.mkdir(parents=True)
    (folder / "pdsh.yaml").write_text(
        "num_processes: 2\ndeepspeed_config: {deepspeed_multinode_launcher: pdsh}\n", encoding="utf-8"
    )
    job = prepared.copy(tmp_path / "work")
    command = [*job.command()[:1], str(root / "launch" / "pipeline.py"), str(job.recipe), "--work", str(job.work)]
    command += ["--set", "pretraining.run.accelerate_config=pdsh.yaml"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert result.returncode == 2
    assert "deepspeed_multinode_launcher must be standard" in result.stderr


@pytest.mark.slow
def test_the_pipeline_refuses_what_it_would_have_to_start_on_several_machines(job):
    command = [*job.command()[:1], "launch/pipeline.py", *job.arguments()]
    command += ["--set", "pretraining.run.accelerate_config=multi_node.yaml"]
    result = subprocess.run(command, cwd=job.root, env=environment(), capture_output=True, text=True, timeout=TIMEOUT)
    assert result.returncode == 2
    assert "multi_node.yaml is for several machines" in result.stderr and "docs/multi_node.md" in result.stderr
