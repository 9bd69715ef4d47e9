import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from bimed_dist import manifest
from bimed_dist.config import Recipe, parse_recipe
from bimed_dist.errors import ConfigError, DataError
from bimed_dist.vocabulary.stage import run

TEXT = "환자는 폐렴 폐암 소견이 관찰됨 정상 우상엽 chest lung nodule mass pneumonia normal effusion CT상 12 mm"
WORDS = TEXT.split()


def make_recipe(**settings) -> Recipe:
    sources = [{"kind": "text", "name": "s", "path": "s"}]
    return parse_recipe(
        {
            "name": "r",
            "seed": 1,
            "corpus": {"c": {"sources": sources}},
            "vocabulary": {"v": {"corpus": "c", "size": 300, **settings}},
        },
        where="test",
    )


def make_corpus(work: Path, *, shuffled_by: int = 0, held_out: str = "정상 소견이 보임 lungs") -> None:
    """A finished corpus folder; `shuffled_by` changes nothing but the order of the documents."""

    def line(number: int, text: str, language: str) -> str:
        record = {"id": str(number), "source": "s", "language": language}
        record |= {"paragraphs": [[text]], "languages": [[language]]}
        return json.dumps(record, ensure_ascii=False) + "\n"

    lines = [line(n, " ".join(random.Random(n).choices(WORDS, k=8)), "mixed") for n in range(60)]
    random.Random(shuffled_by).shuffle(lines)

    def make(folder: Path) -> dict:
        (folder / "train.jsonl").write_text("".join(lines), encoding="utf-8")
        (folder / "held_out.jsonl").write_text(line(60, held_out, "mixed"), encoding="utf-8")
        return {}

    manifest.build(work / "corpus" / "c", stage="corpus", settings={}, inputs={}, make=make)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != manifest.FILE_NAME}


def test_two_processes_with_other_hash_seeds_and_document_orders_write_the_same_bytes(tmp_path, root):
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps(make_recipe().model_dump(mode="json")), encoding="utf-8")
    program = (
        "import json, pathlib, sys; from bimed_dist.config import parse_recipe; "
        "from bimed_dist.vocabulary.stage import run; "
        "run(parse_recipe(json.loads(pathlib.Path(sys.argv[1]).read_text()), ''), 'v', pathlib.Path(sys.argv[2]))"
    )
    found = []
    for seed in (1, 2):
        work = tmp_path / str(seed)
        make_corpus(work, shuffled_by=seed)
        environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": str(root)}
        subprocess.run([sys.executable, "-c", program, str(recipe), str(work)], check=True, env=environment)
        found.append(files(work / "vocabulary" / "v"))
    assert found[0].keys() == {"tokenizer.json", "tokenizer_config.json", "vocab.txt", "composition.json"}
    assert found[0] == found[1]


def test_only_training_text_is_learned_and_held_out_text_is_measured(tmp_path):
    for work, held_out in ((tmp_path / "1", "뷁뷁 zzz CT상"), (tmp_path / "2", "정상")):
        make_corpus(work, held_out=held_out)
    one, two = (run(make_recipe(), "v", tmp_path / work) for work in "12")
    assert files(one.folder)["vocab.txt"] == files(two.folder)["vocab.txt"]
    assert "뷁" not in (one.folder / "vocab.txt").read_text(encoding="utf-8")
    fit = one.manifest.counts["held_out"]["mixed"]
    assert (fit["words"], fit["unknown"]) == (3, 2)


def test_the_composition_file_and_the_counts_agree(tmp_path, caplog):
    make_corpus(tmp_path)
    with caplog.at_level("INFO"):
        outcome = run(make_recipe(), "v", tmp_path)
    written = json.loads((outcome.folder / "composition.json").read_text(encoding="utf-8"))
    assert {row["item"]: row["pieces"] for row in written["rows"]} == outcome.manifest.counts["by_script"]
    assert written["size"] == outcome.manifest.counts["pieces"]
    assert "Korean subwords" in caplog.text


def test_a_corpus_with_fewer_pieces_than_wanted_gives_what_it_has_and_says_so(tmp_path, caplog):
    make_corpus(tmp_path)
    outcome = run(make_recipe(), "v", tmp_path)
    assert outcome.manifest.counts["requested"] == 300
    assert outcome.manifest.counts["pieces"] < 300
    assert f"gives {outcome.manifest.counts['pieces']} pieces, 300 were wanted" in caplog.text


def test_a_finished_vocabulary_is_left_alone_and_another_setting_or_corpus_is_refused(tmp_path):
    make_corpus(tmp_path)
    assert not run(make_recipe(), "v", tmp_path).was_done
    assert run(make_recipe(), "v", tmp_path).was_done
    with pytest.raises(ConfigError, match="lowercase: was false, now true"):
        run(make_recipe(lowercase=True), "v", tmp_path)
    (tmp_path / "corpus" / "c").rename(tmp_path / "corpus" / "before")
    make_corpus(tmp_path, shuffled_by=3)
    with pytest.raises(ConfigError, match="corpus/c"):
        run(make_recipe(), "v", tmp_path)


def test_an_unfinished_or_damaged_corpus_is_refused(tmp_path):
    with pytest.raises(DataError, match="did not finish"):
        run(make_recipe(), "v", tmp_path)
    make_corpus(tmp_path)
    with (tmp_path / "corpus" / "c" / "train.jsonl").open("ab") as file:
        file.write(b"\n")
    with pytest.raises(DataError, match=r"train\.jsonl has"):
        run(make_recipe(), "v", tmp_path)
