import json
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.pre_tokenizers import BertPreTokenizer

from bimed_dist.vocabulary.tokenizer import text_normalizer
from bimed_dist.vocabulary.words import block_borders, count_words, sentences, split_chunks

WORDS = ["환자는", "폐렴,", "소견이", "CT상", "chest", "lung.", "12", "mm", "café", "é", "r/o"]


def write_corpus(path: Path, documents: int) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for number in range(documents):
            text = " ".join(random.Random(number).choices(WORDS, k=20))
            record = {
                "source": "s",
                "language": "mixed",
                "paragraphs": [[text], [text]],
                "languages": [["mixed"], ["ko"]],
            }
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    return path


def counted(path: Path, **how: int) -> Counter[str]:
    return count_words(path, text_normalizer(False), BertPreTokenizer(), **how)


def test_sentences_come_with_their_source_and_language(tmp_path):
    found = list(sentences(write_corpus(tmp_path / "train.jsonl", 2)))
    assert [(source, language) for source, language, _ in found] == [("s", "mixed"), ("s", "ko")] * 2


@pytest.mark.parametrize(("processes", "block_bytes"), [(1, 1), (1, 700), (2, 700), (3, 10**6)])
def test_counts_are_those_of_the_whole_text_whatever_the_processes_and_blocks(tmp_path, processes, block_bytes):
    path = write_corpus(tmp_path / "train.jsonl", 30)
    chunks = Counter(chunk for _, _, text in sentences(path) for chunk in text.split())
    expected = split_chunks(chunks, text_normalizer(False), BertPreTokenizer())
    assert expected["é"] > 0 and expected["/"] > 0
    assert counted(path, processes=processes, block_bytes=block_bytes) == expected


@given(lines=st.lists(st.integers(0, 40), min_size=1, max_size=20), block_bytes=st.integers(1, 100))
def test_blocks_are_whole_lines_and_cover_the_file(tmp_path_factory, lines, block_bytes):
    path = tmp_path_factory.mktemp("blocks") / "file"
    path.write_bytes(b"".join(b"x" * length + b"\n" for length in lines))
    content = path.read_bytes()
    blocks = list(block_borders(path, block_bytes))
    assert b"".join(content[start:end] for start, end in blocks) == content
    assert all(content[end - 1 : end] == b"\n" for _, end in blocks)
    assert all(end - start >= block_bytes for start, end in blocks[:-1])
