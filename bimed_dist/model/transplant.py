"""A model's embedding rows moved to another vocabulary.

Per new piece, the first rule that applies:

1. `copied`  the old vocabulary has the same text (`##x` matches `##x` only; special tokens by role);
2. `mean`    mean of the rows of the pieces into which the old tokenizer, as it is, takes the new piece apart;
3. `normal`  all old pieces are [UNK], or the new one is an [unusedN] slot: a draw from the multivariate normal with
             the old rows' mean and covariance (Hewitt 2021; Mundra et al. 2024, arXiv 2407.05841).

`random` in place of 2 and 3 gives N(0, initializer_range), as KM-BERT-vocab did (Kim et al. 2022).
The bias of the MLM decoder is the last column of the same matrix, so it moves by the same rules. Old tokenizers that
lower-case strip accents by NFD and take Hangul apart into jamo; their pieces are used as they come.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers.models import WordPiece
from transformers import BertForPreTraining, PreTrainedTokenizerBase

from bimed_dist.errors import ConfigError

_PREFIX = "##"
_ROLES = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
_LONGEST_PIECE = 100


@dataclass(frozen=True)
class Origin:
    piece: str
    rule: str
    """copied, mean, normal or random."""
    old_pieces: tuple[str, ...]


def require_wordpiece(tokenizer: PreTrainedTokenizerBase, whose: str) -> None:
    if not tokenizer.is_fast or not isinstance(tokenizer.backend_tokenizer.model, WordPiece):
        raise ConfigError(f"the tokenizer of {whose} is not WordPiece; a BERT foundation with vocab.txt is needed")


def pieces_by_id(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """All pieces; ConfigError where their numbers are not 0, 1, 2 ..., as they could not be told from rows then."""
    vocabulary = tokenizer.get_vocab()
    if sorted(vocabulary.values()) != list(range(len(vocabulary))):
        raise ConfigError(
            f"{tokenizer.name_or_path}: the vocabulary has repeated lines or gaps, so its ids are not 0 to "
            f"{len(vocabulary) - 1}"
        )
    return sorted(vocabulary, key=vocabulary.__getitem__)


def origins(old: PreTrainedTokenizerBase, new: PreTrainedTokenizerBase, new_rows: str) -> list[Origin]:
    """How each row of the new vocabulary is made, by new id."""
    old_ids = old.get_vocab()
    roles = {getattr(new, role): getattr(old, role) for role in _ROLES}
    made = []
    for piece in pieces_by_id(new):
        same = roles.get(piece, piece)
        if same in old_ids:
            made.append(Origin(piece, "copied", (same,)))
        elif new_rows == "random":
            made.append(Origin(piece, "random", ()))
        elif _is_unused(piece):
            made.append(Origin(piece, "normal", ()))
        else:
            known = tuple(p for p in _old_pieces(piece, old, old_ids) if p != old.unk_token)
            made.append(Origin(piece, "mean" if known else "normal", known))
    return made


def _is_unused(piece: str) -> bool:
    """Whether a piece stands for no text: a slot such as [unused7]."""
    return piece.startswith("[unused")


def _old_pieces(piece: str, old: PreTrainedTokenizerBase, old_ids: dict[str, int]) -> list[str]:
    """Old pieces of a new one; a continuation is read as a continuation where the old vocabulary allows."""
    if not piece.startswith(_PREFIX):
        return old.tokenize(piece)
    text = piece.removeprefix(_PREFIX)
    normalizer = old.backend_tokenizer.normalizer
    normalized = normalizer.normalize_str(text) if normalizer else text
    return _greedy_continuation(normalized, old_ids) or old.tokenize(text)


def _greedy_continuation(text: str, old_ids: dict[str, int]) -> list[str]:
    """Longest match first, as WordPiece does inside a word; empty where a part is unknown."""
    pieces, start = [], 0
    while start < len(text):
        for end in range(min(len(text), start + _LONGEST_PIECE), start, -1):
            if _PREFIX + text[start:end] in old_ids:
                pieces.append(_PREFIX + text[start:end])
                start = end
                break
        else:
            return []
    return pieces


def new_matrix(
    old_matrix: np.ndarray,
    old_ids: dict[str, int],
    made: list[Origin],
    *,
    regular: np.ndarray,
    spread: float,
    seed: int,
) -> np.ndarray:
    """Rows for the new vocabulary, (new V, D + 1) float64, from `old_matrix` (old V, D + 1).

    `regular` (old V,) marks the rows that the normal distribution is fitted to (no special or unused ones); `spread` is
    the standard deviation of random rows, whose bias is 0.
    """
    rng = np.random.default_rng(seed)
    matrix = np.zeros((len(made), old_matrix.shape[1]))
    count = Counter(origin.rule for origin in made)
    if count["normal"]:
        fitted = old_matrix[regular]
        drawn = iter(
            rng.multivariate_normal(fitted.mean(0), np.cov(fitted, rowvar=False), size=count["normal"], method="eigh")
        )
    for row, origin in enumerate(made):
        if origin.rule == "normal":
            matrix[row] = next(drawn)
        elif origin.rule == "random":
            matrix[row, :-1] = rng.normal(0.0, spread, matrix.shape[1] - 1)
        else:
            matrix[row] = old_matrix[[old_ids[p] for p in origin.old_pieces]].mean(0)
    return matrix


def transplant(
    model: BertForPreTraining,
    old: PreTrainedTokenizerBase,
    new: PreTrainedTokenizerBase,
    *,
    new_rows: str,
    seed: int,
) -> list[Origin]:
    """Give `model` the new vocabulary in place; returns how each row was made."""
    require_wordpiece(old, "the foundation")
    require_wordpiece(new, "the new vocabulary")
    made = origins(old, new, new_rows)
    old_ids = old.get_vocab()
    embedding = model.get_input_embeddings().weight.detach()
    bias = model.cls.predictions.bias.detach()
    old_matrix = torch.cat([embedding, bias[:, None]], dim=1).double().numpy()
    regular = np.zeros(len(old_matrix), bool)
    skipped = set(old.all_special_tokens)
    regular[[i for piece, i in old_ids.items() if piece not in skipped and not _is_unused(piece)]] = True
    matrix = new_matrix(old_matrix, old_ids, made, regular=regular, spread=model.config.initializer_range, seed=seed)
    set_rows(model, torch.from_numpy(matrix).to(embedding.dtype))
    model.config.pad_token_id = new.pad_token_id
    return made


def set_rows(model: BertForPreTraining, matrix: torch.Tensor) -> None:
    """Replace embedding rows and decoder bias by `matrix` (V, D + 1), tied weights and vocab_size included."""
    model.resize_token_embeddings(len(matrix), mean_resizing=False)
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(matrix[:, :-1])
        model.cls.predictions.bias.copy_(matrix[:, -1])
        model.cls.predictions.decoder.bias.copy_(matrix[:, -1])
    model.tie_weights()


def rows(model: BertForPreTraining) -> torch.Tensor:
    """Embedding rows with the decoder bias as last column, (V, D + 1)."""
    return torch.cat([model.get_input_embeddings().weight, model.cls.predictions.bias[:, None]], dim=1).detach()
