"""Promises of a corpus build: any number of processes, any engine, interruptions, bad input."""

import csv
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from bimed_dist.corpus import engines, extraction, planning
from bimed_dist.corpus.contamination import TaskText, TaskTexts
from bimed_dist.corpus.stage import run
from bimed_dist.errors import DataError, Stopped
from bimed_dist.recipe.loading import parse_recipe
from bimed_dist.recipe.recipe import Recipe


def recipe(data: Path, *sources: dict, processes: int = 1, engine: str = "local", **settings) -> Recipe:
    corpus = {"sources": list(sources), "execution": {"processes": processes, "engine": engine}, **settings}
    return parse_recipe({"name": "r", "seed": 1, "data": str(data), "corpus": {"c": corpus}}, where="test")


def write_notes(folder: Path, count: int = 60) -> dict:
    rows = [
        {
            "id": i // 2,
            "patient": i // 6,
            "t": f"환자 {i}번은 {i * 7} mm 결절이 있음. No effusion was seen in case {i}.",
        }
        for i in range(count)
    ]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "notes.jsonl").write_text(text, encoding="utf-8")
    return {"kind": "jsonl", "name": "notes", "path": "notes.jsonl", "text": ["t"], "id": "id", "group": "patient"}


def write_lines(folder: Path, name: str, lines: list[str], **settings) -> dict:
    (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {"kind": "text", "name": name, "path": f"{name}.txt", "document": "line", **settings}


def records(folder: Path) -> dict[str, list[dict]]:
    return {
        name: [json.loads(line) for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
        for name in ("train", "held_out")
    }


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(planning, "PART_BYTES", 1000)


# ------------------------------------------------------------------------------------ processes, engines, interruptions


def test_the_corpus_is_the_same_byte_for_byte_for_any_number_of_processes_and_any_engine(tmp_path, small_parts):
    pytest.importorskip("datatrove")
    source = write_notes(tmp_path)
    plans = [(1, "local"), (3, "local"), (2, "datatrove")]
    outcomes = [
        run(recipe(tmp_path, source, processes=count, engine=engine), "c", tmp_path / f"{engine}{count}")
        for count, engine in plans
    ]
    assert len({outcome.manifest.digest for outcome in outcomes}) == 1
    assert outcomes[0].manifest.counts == outcomes[1].manifest.counts == outcomes[2].manifest.counts


def test_an_interrupted_build_keeps_its_finished_parts_and_ends_the_same(tmp_path, small_parts, monkeypatch):
    source = write_notes(tmp_path)
    whole = run(recipe(tmp_path, source), "c", tmp_path / "whole")
    extracted = []

    def until_the_third(folder: Path, number: int):
        if len(extracted) == 3:
            raise KeyboardInterrupt
        extracted.append(number)
        return extraction.extract(folder, number)

    monkeypatch.setattr(engines, "extract", until_the_third)
    with pytest.raises(KeyboardInterrupt):
        run(recipe(tmp_path, source), "c", tmp_path / "cut")
    parts = tmp_path / "cut" / "corpus" / "c.partial" / "parts"
    before = sorted(path.parent.name for path in parts.glob("*/manifest.json"))
    assert len(before) == 3 and not (tmp_path / "cut" / "corpus" / "c").exists()

    after = {}

    def remembering(folder: Path, number: int):
        outcome = extraction.extract(folder, number)
        after[f"{number:06d}"] = outcome.was_done
        return outcome

    monkeypatch.setattr(engines, "extract", remembering)
    again = run(recipe(tmp_path, source), "c", tmp_path / "cut")
    assert again.manifest.digest == whole.manifest.digest
    assert [name for name, was_done in after.items() if was_done] == before
    assert sorted(path.name for path in again.folder.iterdir()) == sorted(path.name for path in whole.folder.iterdir())


def test_a_build_that_was_begun_with_other_settings_starts_over(tmp_path, small_parts, monkeypatch):
    source = write_notes(tmp_path)
    monkeypatch.setattr(engines, "extract", lambda folder, number: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run(recipe(tmp_path, source), "c", tmp_path / "w")
    monkeypatch.undo()
    changed = recipe(tmp_path, source, held_out_share=0.5)
    assert run(changed, "c", tmp_path / "w").manifest.digest == run(changed, "c", tmp_path / "x").manifest.digest


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> dict:
    """`execution` for a stand-in for sbatch, which appends jobs to jobs.sh."""
    pytest.importorskip("datatrove")
    (tmp_path / "bin").mkdir()
    sbatch = tmp_path / "bin" / "sbatch"
    script = ["#!/bin/sh", "for last; do :; done", 'cat "$last" >> "$OUT/jobs.sh"', "echo Submitted batch job 7", ""]
    sbatch.write_text("\n".join(script))
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("OUT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    settings = {"partition": "cpu", "time": "01:00:00", "tasks": 4, "setup": "source /shared/venv/bin/activate"}
    return {"engine": "datatrove", "slurm": settings}


def test_slurm_gets_a_job_array_and_the_build_says_when_to_come_back(tmp_path, small_parts, slurm):
    with pytest.raises(Stopped, match="run the same command again"):
        run(recipe(tmp_path, write_notes(tmp_path), execution=slurm), "c", tmp_path / "w")
    job = (tmp_path / "jobs.sh").read_text()
    assert "--partition=cpu" in job and "source /shared/venv/bin/activate" in job and "--array=0-3" in job


def test_errors_of_a_slurm_job_are_reported_by_the_next_launch_and_its_parts_submitted_by_the_one_after(
    tmp_path, slurm
):
    source = write_notes(tmp_path)
    with (tmp_path / "notes.jsonl").open("a") as file:
        file.write("no JSON\n")
    build = recipe(tmp_path, source, execution=slurm)
    with pytest.raises(Stopped):
        run(build, "c", tmp_path / "w")
    with pytest.raises(DataError):
        engines.ExtractShare(tmp_path / "w" / "corpus" / "c.partial", [0])(None, rank=0, world_size=1)
    with pytest.raises(DataError, match=r"notes\.jsonl line 61: not JSON"):
        run(build, "c", tmp_path / "w")
    with pytest.raises(Stopped):
        run(build, "c", tmp_path / "w")


# ------------------------------------------------------------------------------------------------ groups and duplicates


def test_no_patient_is_on_both_sides_of_the_held_out_split_whatever_the_file(tmp_path):
    first = write_notes(tmp_path, 300)
    lines = (tmp_path / "notes.jsonl").read_text(encoding="utf-8").replace("결절", "종괴").splitlines()
    (tmp_path / "more.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    second = {**first, "name": "more", "path": "more.jsonl"}
    built = run(recipe(tmp_path, first, second, held_out_share=0.3, near_duplicates=None), "c", tmp_path / "w")
    patients = {i // 2: i // 6 for i in range(300)}
    sides = {name: {patients[int(r["id"])] for r in documents} for name, documents in records(built.folder).items()}
    assert sides["train"] and sides["held_out"] and not sides["train"] & sides["held_out"]
    assert built.manifest.counts["documents"] == 300


def test_documents_with_one_id_are_on_one_side_even_if_they_are_apart(tmp_path):
    names = [*range(100), *range(100)]
    text = "".join(json.dumps({"id": n, "t": f"Finding {i} was noted."}) + "\n" for i, n in enumerate(names))
    (tmp_path / "a.jsonl").write_text(text, encoding="utf-8")
    source = {"kind": "jsonl", "name": "a", "path": "a.jsonl", "text": ["t"], "id": "id"}
    built = run(recipe(tmp_path, source, held_out_share=0.4, near_duplicates=None), "c", tmp_path / "w")
    ids = {name: {r["id"] for r in documents} for name, documents in records(built.folder).items()}
    assert built.manifest.counts["scattered_documents"] == 100
    assert ids["train"] and ids["held_out"] and not ids["train"] & ids["held_out"]


def test_near_duplicates_are_dropped_for_the_first_and_written_down(tmp_path):
    text = "The lungs are clear and the heart is of normal size without any sign of effusion or pneumothorax today"
    source = write_lines(tmp_path, "a", [text, "환자는 정상이다.", text.replace("today", "now"), "Quite another text."])
    built = run(recipe(tmp_path, source), "c", tmp_path / "w")
    assert built.manifest.counts["near_duplicates_dropped"] == 1
    assert rows(built.folder, "duplicates.csv") == [
        {
            "dropped_id": "a.txt:3",
            "dropped_source": "a",
            "kept_id": "a.txt:1",
            "kept_source": "a",
            "kind": "near",
        }
    ]
    assert run(recipe(tmp_path, source, near_duplicates=None), "c", tmp_path / "x").manifest.counts["documents"] == 4


def test_documents_and_sentences_are_counted_by_how_mixed_they_are(tmp_path):
    lines = [
        "환자는 정상이다.",
        "환자는 chest CT상 both lung에 nodule 보임. No effusion. 흉수 없음.",
        "Clear lungs on both sides.",
    ]
    built = run(recipe(tmp_path, write_lines(tmp_path, "a", lines)), "c", tmp_path / "w")
    counts = built.manifest.counts
    shares = counts["code_mixing"]["minority_share"]
    assert shares["documents"] == {"0": 2, "<5 %": 0, "<10 %": 0, "<20 %": 0, ">=20 %": 1}
    assert shares["sentences"] == {"0": 4, "<5 %": 0, "<10 %": 0, "<20 %": 0, ">=20 %": 1}
    assert counts["code_mixing"]["switches_per_100_words"]["sentences"]["0"] == 4
    assert counts["by_source"]["a"]["code_mixing"] == counts["code_mixing"]


# ------------------------------------------------------------------------------------- quality, privacy, contamination


def test_documents_that_break_a_rule_of_quality_are_dropped_counted_and_named(tmp_path):
    source = write_lines(tmp_path, "a", ["정상이다.", "#### ---- ==== ++++", "short"])
    quality = {"min_characters": 5, "max_symbol_share": 0.5}
    built = run(recipe(tmp_path, source, quality=quality), "c", tmp_path / "w")
    assert built.manifest.counts["rejected"] == {"symbols": 1}
    [row] = rows(built.folder, "left_out.csv")
    assert row == {"kind": "rejected", "source": "a", "place": "a.txt:2", "reason": "symbols"}


IDENTITY = "연락처 010-1234-5678, 주민등록번호 800101-1234567"


def test_identities_refuse_the_corpus_by_default_and_are_masked_or_allowed_on_choice(tmp_path):
    source = write_lines(tmp_path, "a", [f"환자는 정상이다. {IDENTITY}", "흉수 없음."])
    with pytest.raises(DataError, match=r"1 resident_number") as caught:
        run(recipe(tmp_path, source), "c", tmp_path / "w")
    assert "800101" not in str(caught.value) and not (tmp_path / "w" / "corpus" / "c").exists()
    left = [path for path in (tmp_path / "w").rglob("*") if path.is_file()]
    assert left and not any(b"800101" in path.read_bytes() for path in left)
    masked = run(recipe(tmp_path, source, privacy={"action": "mask"}), "c", tmp_path / "m")
    allowed = run(recipe(tmp_path, source, privacy={"action": "allow"}), "c", tmp_path / "a")
    texts = {o.folder.parent.parent.name: str(records(o.folder)) for o in (masked, allowed)}
    assert "800101" not in texts["m"] and "[RESIDENT_NUMBER]" in texts["m"] and "800101-1234567" in texts["a"]
    assert masked.manifest.counts["identities"] == allowed.manifest.counts["identities"]


def test_text_of_evaluation_tasks_is_taken_out_and_reported(tmp_path):
    leaked = "The patient was admitted with severe community acquired pneumonia and treated with ceftriaxone."
    other = "환자는 사흘 전부터 시작된 흉통으로 내원하여 심전도와 혈액 검사를 시행하였고 이상 소견은 보이지 않았다."
    source = write_lines(tmp_path, "a", [leaked, f"{other} {leaked}", other + " 끝."])
    tasks = TaskTexts({"task/t": "digest"}, [TaskText("t", "test", "t.tsv:1", leaked)] * 2)  # a pair of equal texts
    settings = {"near_duplicates": None, "contamination": {"action": "remove"}}
    built = run(recipe(tmp_path, source, **settings), "c", tmp_path / "w", tasks)
    sentences = [
        s for documents in records(built.folder).values() for r in documents for p in r["paragraphs"] for s in p
    ]
    assert leaked not in sentences and sentences.count(other) >= 1
    counts = built.manifest.counts
    assert (counts["contaminated_documents"], counts["contaminated_dropped"]) == (2, 1)
    assert (counts["task_rows"], counts["task_texts"], counts["overlaps"]) == (1, 2, {"t": 2})
    assert built.manifest.inputs["task/t"] == "digest"
    leaks = [(row["id"], row["task"], row["row"]) for row in rows(built.folder, "contamination.csv")]
    assert leaks == [("a.txt:1", "t", "t.tsv:1")] * 2 + [("a.txt:2", "t", "t.tsv:1")] * 2
    report = {"near_duplicates": None, "contamination": {"action": "report"}}
    assert run(recipe(tmp_path, source, **report), "c", tmp_path / "x", tasks).manifest.counts["documents"] == 3


# ---------------------------------------------------------------------------------------------------------- bad input


def test_skipped_rows_are_counted_and_listed(tmp_path):
    source = write_lines(tmp_path, "a", ["정상이다.", "No PE."], bad_rows="skip")
    with (tmp_path / "a.txt").open("ab") as file:
        file.write(b"\xff\xfe\n\0\n")
    built = run(recipe(tmp_path, source), "c", tmp_path / "w")
    assert built.manifest.counts["rows_skipped"] == 2 and built.manifest.counts["documents"] == 2
    places = [row["place"].split(", byte")[0] for row in rows(built.folder, "left_out.csv")]
    assert places == ["a.txt line 3", "a.txt line 4"]


def test_the_encoding_of_every_file_is_written_down(tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "a.txt").write_text("정상이다.", encoding="utf-8")
    (tmp_path / "t" / "b.txt").write_text("환자는 흉통이 있다.", encoding="cp949")
    built = run(recipe(tmp_path, {"kind": "text", "name": "t", "path": "t"}), "c", tmp_path / "w")
    assert [(row["file"], row["encoding"], row["encoding_from"]) for row in rows(built.folder, "files.csv")] == [
        ("a.txt", "utf-8", "content"),
        ("b.txt", "cp949", "content"),
    ]
    assert built.manifest.counts["encodings"] == {"utf-8": 1, "cp949": 1}


@pytest.mark.parametrize("change", ["vanishes", "changes"])
def test_a_file_that_is_removed_or_changes_during_the_build_ends_it(tmp_path, monkeypatch, change):
    source = write_notes(tmp_path)
    path = tmp_path / "notes.jsonl"

    def meanwhile(folder: Path, number: int):
        path.unlink() if change == "vanishes" else path.write_text('{"id": 1, "patient": 1, "t": "other"}\n')
        return extraction.extract(folder, number)

    monkeypatch.setattr(engines, "extract", meanwhile)
    with pytest.raises(DataError, match=r"notes\.jsonl was (removed|changed) while the stage ran"):
        run(recipe(tmp_path, source), "c", tmp_path / "w")
    assert not (tmp_path / "w" / "corpus" / "c").exists()


def test_a_full_disk_ends_the_build_with_a_message_and_no_manifest(tmp_path, root):
    write_notes(tmp_path, 3000)
    (tmp_path / "r.yaml").write_text(
        "name: r\nseed: 1\ncorpus:\n  c:\n    execution: {processes: 1}\n    sources:\n"
        "    - {kind: jsonl, name: n, path: notes.jsonl, text: [t], id: id, group: patient}\n"
    )
    process = subprocess.run(
        [sys.executable, str(root / "launch" / "corpus.py"), str(tmp_path / "r.yaml"), "--work", str(tmp_path / "w")],
        # The kernel refuses to write more, as it does on a full disk.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2, process.stderr
    assert "error:" in process.stderr and "free space" in process.stderr and "Traceback" not in process.stderr
    assert not (tmp_path / "w" / "corpus" / "c").exists()
