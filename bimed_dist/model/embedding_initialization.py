"""Initialize the embeddings of a new vocabulary from those of the foundation.

For each new token, the first rule that applies:

1. `copied`  the old vocabulary has the same text (`##x` matches `##x` only; special tokens match by role);
2. `mean`    mean of the rows of the tokens into which the old tokenizer splits the new token's text;
3. `normal`  the old tokenizer returns only [UNK], or the new token is an [unusedN] slot: a draw from the multivariate
             normal distribution with the mean and covariance of the old rows (Hewitt 2021; Mundra et al. 2024,
             arXiv 2407.05841).

`random` replaces rules 2 and 3 by N(0, initializer_range), as in KM-BERT-vocab (Kim et al. 2022). The bias of the MLM
decoder is treated as a last column of the embedding matrix, so the same rules apply to it. Old tokenizers that
lower-case also strip accents by NFD, which splits Hangul into jamo; their tokens are used as they are.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from tokenizers.models import WordPiece
from transformers import BertForPreTraining, PreTrainedTokenizerBase

from bimed_dist.errors import ConfigError
from bimed_dist.recipe.model import EMBEDDING_ORIGINS
from bimed_dist.vocabulary.tokens import MAX_WORD_LENGTH, PREFIX

_ROLES = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
Method = Literal["mean", "random"]


@dataclass(frozen=True)
class RowOrigin:
    """How the row of a new token is initialized."""

    token: str
    rule: Literal["copied", "mean", "normal", "random"]
    old_tokens: tuple[str, ...]
    """Tokens of the old vocabulary whose rows are copied or averaged."""


def require_wordpiece(tokenizer: PreTrainedTokenizerBase, owner: str) -> None:
    """Raise ConfigError if the tokenizer is not WordPiece; `owner` names whose it is."""
    if not tokenizer.is_fast or not isinstance(tokenizer.backend_tokenizer.model, WordPiece):
        raise ConfigError(f"the tokenizer of {owner} is not WordPiece; a BERT foundation with vocab.txt is needed")


def tokens_by_id(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return all tokens in the order of their ids. Raises ConfigError if the ids are not 0, 1, 2, ..."""
    vocabulary = tokenizer.get_vocab()
    if sorted(vocabulary.values()) != list(range(len(vocabulary))):
        raise ConfigError(
            f"{tokenizer.name_or_path}: the vocabulary has repeated lines or gaps, so its ids are not 0 to "
            f"{len(vocabulary) - 1}"
        )
    return sorted(vocabulary, key=vocabulary.__getitem__)


def row_origins(old: PreTrainedTokenizerBase, new: PreTrainedTokenizerBase, method: Method) -> list[RowOrigin]:
    """Return how each row of the new vocabulary is initialized, by new id."""
    old_ids = old.get_vocab()
    roles = {getattr(new, role): getattr(old, role) for role in _ROLES}
    origins = []
    for token in tokens_by_id(new):
        old_token = roles.get(token, token)
        if old_token in old_ids:
            origins.append(RowOrigin(token, "copied", (old_token,)))
        elif method == "random":
            origins.append(RowOrigin(token, "random", ()))
        elif _is_unused(token):
            origins.append(RowOrigin(token, "normal", ()))
        else:
            known = tuple(t for t in _old_tokens(token, old, old_ids) if t != old.unk_token)
            origins.append(RowOrigin(token, "mean" if known else "normal", known))
    return origins


def _is_unused(token: str) -> bool:
    """Return whether a token is a slot without text, such as [unused7]."""
    return token.startswith("[unused")


def _old_tokens(token: str, old: PreTrainedTokenizerBase, old_ids: dict[str, int]) -> list[str]:
    """Split a new token into old ones; a continuation stays a continuation if the old vocabulary allows."""
    if not token.startswith(PREFIX):
        return old.tokenize(token)
    text = token.removeprefix(PREFIX)
    normalizer = old.backend_tokenizer.normalizer
    normalized = normalizer.normalize_str(text) if normalizer else text
    return _split_continuation(normalized, old_ids) or old.tokenize(text)


def _split_continuation(text: str, old_ids: dict[str, int]) -> list[str]:
    """Return the longest matches, as WordPiece takes them inside a word; empty if a part is unknown."""
    tokens, start = [], 0
    while start < len(text):
        for end in range(min(len(text), start + MAX_WORD_LENGTH), start, -1):
            if PREFIX + text[start:end] in old_ids:
                tokens.append(PREFIX + text[start:end])
                start = end
                break
        else:
            return []
    return tokens


def initialized_matrix(
    old_matrix: np.ndarray,
    old_ids: dict[str, int],
    origins: list[RowOrigin],
    *,
    fitted: np.ndarray,
    std: float,
    seed: int,
) -> np.ndarray:
    """Return the rows of the new vocabulary, (new V, D + 1) float64, from `old_matrix` (old V, D + 1).

    `fitted` (old V,) bool marks the rows that the normal distribution is fitted to (not special or unused ones); `std`
    is the standard deviation of `random` rows, whose bias is 0.
    """
    rng = np.random.default_rng(seed)
    matrix = np.zeros((len(origins), old_matrix.shape[1]))
    normal = sum(origin.rule == "normal" for origin in origins)
    if normal:
        rows = old_matrix[fitted]
        draws = iter(rng.multivariate_normal(rows.mean(0), np.cov(rows, rowvar=False), size=normal, method="eigh"))
    for row, origin in enumerate(origins):
        if origin.rule == "normal":
            matrix[row] = next(draws)
        elif origin.rule == "random":
            matrix[row, :-1] = rng.normal(0.0, std, matrix.shape[1] - 1)
        else:
            matrix[row] = old_matrix[[old_ids[token] for token in origin.old_tokens]].mean(0)
    return matrix


def initialize_embeddings(
    model: BertForPreTraining, old: PreTrainedTokenizerBase, new: PreTrainedTokenizerBase, *, method: Method, seed: int
) -> list[RowOrigin]:
    """Give `model` the new vocabulary in place; return how each row was initialized.

    Raises ConfigError if either tokenizer is not WordPiece or has gaps in its ids.
    """
    require_wordpiece(old, "the foundation")
    require_wordpiece(new, "the new vocabulary")
    origins = row_origins(old, new, method)
    old_ids = old.get_vocab()
    special = set(old.all_special_tokens)
    old_matrix = embedding_rows(model).double().numpy()
    fitted = np.zeros(len(old_matrix), bool)
    fitted[[id_ for token, id_ in old_ids.items() if token not in special and not _is_unused(token)]] = True
    matrix = initialized_matrix(
        old_matrix, old_ids, origins, fitted=fitted, std=model.config.initializer_range, seed=seed
    )
    set_embedding_rows(model, torch.from_numpy(matrix).to(model.dtype))
    model.config.pad_token_id = new.pad_token_id
    return origins


def embedding_rows(model: BertForPreTraining) -> torch.Tensor:
    """Return the embedding rows with the decoder bias as last column, (V, D + 1)."""
    return torch.cat([model.get_input_embeddings().weight, model.cls.predictions.bias[:, None]], dim=1).detach()


def set_embedding_rows(model: BertForPreTraining, matrix: torch.Tensor) -> None:
    """Replace embedding rows and decoder bias by `matrix` (V, D + 1), tied weights and vocab_size included."""
    model.resize_token_embeddings(len(matrix), mean_resizing=False)
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(matrix[:, :-1])
        model.cls.predictions.bias.copy_(matrix[:, -1])
        model.cls.predictions.decoder.bias.copy_(matrix[:, -1])
    model.tie_weights()


def count_rules(origins: list[RowOrigin]) -> dict[str, int]:
    """Return the number of rows by rule, in the order of `EMBEDDING_ORIGINS`."""
    counts = Counter(origin.rule for origin in origins)
    return {rule: counts[rule] for rule in EMBEDDING_ORIGINS}
