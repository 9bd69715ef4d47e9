"""Embeddings of a new vocabulary: the rule and the values of each row, and that nothing else changes."""

import unicodedata

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, normalizers
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from transformers import BertConfig, BertForPreTraining, PreTrainedTokenizerFast

from bimed_dist.errors import ConfigError
from bimed_dist.model.embedding_initialization import initialize_embeddings
from bimed_dist.model.stage import parity
from bimed_dist.vocabulary.tokenizer import extend_tokenizer

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
JAMO_OF_PE = unicodedata.normalize("NFD", "폐")  # lung, as the uncased tokenizer splits it


def tokenizer(tokens: list[str], lowercase: bool) -> PreTrainedTokenizerFast:
    vocabulary = {token: i for i, token in enumerate([*SPECIALS, *tokens])}
    backend = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.Sequence([BertNormalizer(lowercase=lowercase, strip_accents=lowercase)])
    backend.pre_tokenizer = BertPreTokenizer()
    roles = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIALS, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=backend, **roles)


@pytest.fixture
def english():
    filler = [f"word{i}" for i in range(80)]
    return tokenizer(
        ["[unused0]", "lung", "chest", "##s", "##ct", "ct", "c", "##t", JAMO_OF_PE[0], "##" + JAMO_OF_PE[1], *filler],
        True,
    )


@pytest.fixture
def bilingual():
    return tokenizer(["lung", "CT", "lungs", "##CT", "폐", "##s", "##폐", "흉부", "chest"], False)


def small_bert(size: int) -> BertForPreTraining:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=size, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=40,
    )  # fmt: skip
    model = BertForPreTraining(config).eval()
    with torch.no_grad():
        model.cls.predictions.bias.copy_(torch.randn(size))
    return model


def rows(model: BertForPreTraining, tok: PreTrainedTokenizerFast, *tokens: str) -> torch.Tensor:
    ids = tok.convert_tokens_to_ids(list(tokens))
    return torch.cat([model.get_input_embeddings().weight[ids], model.cls.predictions.bias[ids, None]], 1).detach()


def test_each_row_is_a_copy_a_mean_or_a_draw(english, bilingual):
    before, after = small_bert(len(english)), small_bert(len(english))
    origins = initialize_embeddings(after, english, bilingual, method="mean", seed=1)
    rules = {origin.token: (origin.rule, origin.old_tokens) for origin in origins}

    assert rules["lung"] == ("copied", ("lung",))
    assert rules["##s"] == ("copied", ("##s",))
    assert rules["[MASK]"] == ("copied", ("[MASK]",))
    assert rules["lungs"] == ("mean", ("lung", "##s"))
    assert rules["CT"] == ("mean", ("ct",))  # the old tokenizer lower-cases
    assert rules["##CT"] == ("mean", ("##ct",))  # a continuation stays one
    assert rules["폐"] == ("mean", (JAMO_OF_PE[0], "##" + JAMO_OF_PE[1]))  # and splits Hangul into jamo
    assert rules["흉부"] == ("normal", ())

    exact = {"rtol": 0, "atol": 0}
    torch.testing.assert_close(rows(after, bilingual, "lung"), rows(before, english, "lung"), **exact)
    mean = rows(before, english, "lung", "##s").mean(0, keepdim=True)
    torch.testing.assert_close(rows(after, bilingual, "lungs"), mean, rtol=1e-6, atol=1e-7)
    drawn = rows(after, bilingual, "흉부")
    assert (drawn[:, None] != rows(before, english, *english.get_vocab())).all()


def test_bias_and_decoder_follow_the_embeddings_and_stay_tied(english, bilingual):
    model = small_bert(len(english))
    initialize_embeddings(model, english, bilingual, method="mean", seed=1)
    head = model.cls.predictions
    assert head.decoder.weight.data_ptr() == model.get_input_embeddings().weight.data_ptr()
    assert head.decoder.bias.data_ptr() == head.bias.data_ptr()
    assert head.decoder.weight.shape == (len(bilingual), 16)
    assert model.config.vocab_size == len(bilingual)


def test_text_of_shared_tokens_gives_the_same_hidden_states(english, bilingual):
    before, after = small_bert(len(english)), small_bert(len(english))
    origins = initialize_embeddings(after, english, bilingual, method="mean", seed=1)
    assert parity(before, english, after, bilingual, origins) == 0.0
    with torch.no_grad():
        after.bert.encoder.layer[0].output.dense.bias[0] += 1e-2
    assert parity(before, english, after, bilingual, origins) > 1e-5


def test_only_weights_of_the_vocabulary_change(english, bilingual):
    before, after = small_bert(len(english)), small_bert(len(english))
    initialize_embeddings(after, english, bilingual, method="mean", seed=1)
    changed = ("word_embeddings", "predictions.bias", "predictions.decoder")
    old, new = before.state_dict(), after.state_dict()
    assert old.keys() == new.keys()
    assert all(torch.equal(old[k], new[k]) for k in old if not any(part in k for part in changed))


def test_a_seed_gives_the_same_rows_and_another_seed_other_draws(english, bilingual):
    models = []
    for seed in (1, 1, 2):
        models.append(small_bert(len(english)))
        initialize_embeddings(models[-1], english, bilingual, method="mean", seed=seed)
    drawn = [rows(model, bilingual, "흉부") for model in models]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_drawn_rows_have_the_mean_and_covariance_of_the_old_ones():
    old = tokenizer([f"w{i}" for i in range(3000)], True)
    new = tokenizer([f"한{chr(0xAC00 + i)}" for i in range(4000)], False)
    model = small_bert(len(old))
    mixing = torch.randn(16, 16, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(model.get_input_embeddings().weight @ mixing + 0.5)
    fitted = rows(model, old, *[f"w{i}" for i in range(3000)]).numpy()
    initialize_embeddings(model, old, new, method="mean", seed=7)
    drawn = rows(model, new, *[p for p in new.get_vocab() if p.startswith("한")]).numpy()
    # 4,000 draws: the standard error of a mean is std / 63; chance does not reach five of them.
    std = fitted.std(0)
    assert (np.abs(drawn.mean(0) - fitted.mean(0)) < 5 * std / 63).all()
    correlation = [np.corrcoef(x, rowvar=False) for x in (drawn, fitted)]
    assert np.abs(correlation[0] - correlation[1]).max() < 0.1


def test_random_initialization_draws_all_new_rows_and_no_bias(english, bilingual):
    model = small_bert(len(english))
    origins = initialize_embeddings(model, english, bilingual, method="random", seed=1)
    assert {origin.rule for origin in origins} == {"copied", "random"}
    assert rows(model, bilingual, "흉부")[0, -1] == 0


@pytest.mark.parametrize("method", ["mean", "random"])
def test_an_extended_vocabulary_keeps_old_rows_and_ids(english, method):
    added = [unicodedata.normalize("NFD", "폐렴"), "lungct", "xylitis", "[unused7]"]
    longer = PreTrainedTokenizerFast(
        tokenizer_object=extend_tokenizer(english.backend_tokenizer, added), **english.special_tokens_map
    )
    before, after = small_bert(len(english)), small_bert(len(english))
    origins = initialize_embeddings(after, english, longer, method=method, seed=1)
    old = english.get_vocab()
    assert {token: longer.get_vocab()[token] for token in old} == old
    tokens = sorted(old, key=old.__getitem__)
    assert torch.equal(rows(after, longer, *tokens), rows(before, english, *tokens))
    assert [origin.rule for origin in origins[: len(old)]] == ["copied"] * len(old)
    assert [origin.token for origin in origins[len(old) :]] == added
    if method == "random":
        assert {origin.rule for origin in origins[len(old) :]} == {"random"}
        assert (rows(after, longer, *added)[:, -1] == 0).all()
    else:
        assert [origin.rule for origin in origins[len(old) :]] == ["normal", "mean", "normal", "normal"]
        mean = rows(before, english, "lung", "##ct").mean(0, keepdim=True)
        torch.testing.assert_close(rows(after, longer, "lungct"), mean, rtol=1e-6, atol=1e-7)
    assert parity(before, english, after, longer, origins) == 0.0


def test_a_foundation_without_wordpiece_is_refused(bilingual):
    from tokenizers.models import BPE

    bpe = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(BPE({"a": 0, "b": 1}, [])), unk_token="a")
    with pytest.raises(ConfigError, match="not WordPiece"):
        initialize_embeddings(small_bert(10), bpe, bilingual, method="mean", seed=1)
