import shutil
from pathlib import Path

import numpy as np
import pytest

from bimed_dist import manifest
from bimed_dist.errors import DataError
from bimed_dist.shards.reading import ShardSet


@pytest.fixture
def copy(toy, tmp_path: Path) -> Path:
    return Path(shutil.copytree(toy.folder, tmp_path / "copy"))


def test_every_sentence_reads_back_over_all_shards(toy):
    shards = toy.open()
    sentences = [sentence for document in toy.documents for sentence in document]

    assert len(list(toy.folder.glob("train-*.arrow"))) > 3
    assert (shards.num_sentences, shards.num_tokens) == (len(sentences), toy.num_tokens)
    assert shards.num_documents == len(toy.documents)
    for number, sentence in enumerate(sentences):
        span = slice(number, number + 1)
        assert shards.gather(shards.sentence_start[span], shards.sentence_length[span]).tolist() == sentence


def test_gathering_many_segments_equals_gathering_each(toy):
    shards = toy.open()
    chosen = np.random.default_rng(0).integers(0, shards.num_sentences, size=200)
    starts, lengths = shards.sentence_start[chosen], shards.sentence_length[chosen]

    together = shards.gather(starts, lengths)
    each = [shards.gather(starts[i : i + 1], lengths[i : i + 1]) for i in range(len(chosen))]
    assert together.tolist() == np.concatenate(each).tolist()
    assert shards.gather(starts[:0], lengths[:0]).tolist() == []


def test_tokens_that_continue_a_word_are_known_without_a_tokenizer(toy):
    tokens = toy.open().tokens

    assert (tokens.pad, tokens.unknown, tokens.cls, tokens.sep, tokens.mask) == (0, 1, 2, 3, 4)
    assert np.flatnonzero(tokens.is_special).tolist() == [0, 1, 2, 3, 4]
    starts_word = {
        sentence[i] for document in toy.documents for sentence in document for i in range(0, len(sentence), 3)
    }
    ids = np.array(sorted(toy.document_of))
    assert tokens.continues_word[ids].tolist() == [i not in starts_word for i in ids.tolist()]


def test_the_manifest_detects_a_flipped_byte_anywhere(copy: Path):
    path = copy / "train-00001.arrow"
    good = path.read_bytes()
    for position in range(0, len(good), len(good) // 7):
        path.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        with pytest.raises(DataError, match=r"train-00001\.arrow does not have the SHA-256"):
            manifest.verified(copy)


def test_a_shard_cut_anywhere_is_an_error_and_not_a_crash(copy: Path):
    path = copy / "train-00001.arrow"
    good = path.read_bytes()
    # Arrow does not need the last 8 bytes, the end mark.
    for size in range(0, len(good) - 8, 97):
        path.write_bytes(good[:size])
        with pytest.raises(DataError, match=r"train-00001\.arrow"):
            ShardSet.open(copy, "train")
        with pytest.raises(DataError, match=r"train-00001\.arrow has \d+ bytes"):
            manifest.verified(copy)


def test_a_missing_shard_is_an_error(copy: Path):
    (copy / "train-00001.arrow").unlink()
    with pytest.raises(DataError, match=r"train-00001\.arrow"):
        ShardSet.open(copy, "train")


def test_an_unfinished_folder_is_refused(copy: Path):
    (copy / manifest.MANIFEST).unlink()
    with pytest.raises(DataError, match=r"has no manifest\.json"):
        ShardSet.open(copy, "train")


def test_a_damaged_token_table_is_an_error(copy: Path):
    (copy / "tokens.json").write_text('{"pad": 0}', encoding="utf-8")
    with pytest.raises(DataError, match=r"tokens\.json can't be read"):
        ShardSet.open(copy, "train")
