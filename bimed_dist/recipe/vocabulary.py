"""Settings of the vocabulary stage: a vocabulary is trained on a corpus, or a foundation's is extended."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from bimed_dist.recipe.base import Name, NotNegative, Positive, Settings, Share, TermList


class Quotas(Settings):
    """Shares of the vocabulary, by the script of the pieces."""

    ko: Share
    en: Share
    """Latin letters."""
    other: Share
    """Digits, symbols, both scripts in one piece, other scripts, special tokens."""

    @model_validator(mode="after")
    def are_shares_of_a_whole(self) -> "Quotas":
        total = self.ko + self.en + self.other
        if abs(total - 1) > 1e-6:
            raise ValueError(f"ko, en and other add up to {total:g}, not to 1")
        return self


class _Vocabulary(Settings):
    corpus: Name
    compare: tuple[str, ...] = ()
    """Other tokenizers that the fertility report measures on the same held-out text: `vocabulary/NAME`, folders or hub
    names, such as the foundation's."""
    examples: tuple[str, ...] = (
        *("ibuprofen", "이부프로펜", "systemic sclerosis", "전신경화증"),
        *("nephrosclerosis", "신경화증", "pulmonary embolism", "폐색전증"),
    )
    """Terms whose pieces are shown side by side."""


class TrainedVocabulary(_Vocabulary):
    """Pieces learned from the corpus by byte-pair merging."""

    mode: Literal["train"] = "train"
    size: Annotated[int, Field(ge=300)] = 45_000
    """Pieces, the five special ones included (45,000 in Jo et al. 2025)."""
    min_frequency: Positive = 2
    """Occurrences that a character or a pair must have."""
    lowercase: bool = False
    quotas: Quotas | None = None
    """Without them the most frequent pairs are merged, whatever their language."""
    alphabet_limit: Positive | None = None
    """Characters at most, the most frequent ones; words with any other are [UNK]."""
    unused_slots: NotNegative = 0
    """`[unusedN]` pieces that occur in no text."""
    protected: tuple[str, ...] = ()
    """Words that are one piece each, however rare."""

    @model_validator(mode="after")
    def protected_are_words(self) -> "TrainedVocabulary":
        broken = [f"protected.{i} holds a blank" for i, word in enumerate(self.protected) if len(word.split()) != 1]
        if broken:
            raise ValueError("; ".join(broken) + "; a piece is at most one word")
        return self


class ExtendedVocabulary(_Vocabulary):
    """A foundation's vocabulary and words of term lists, as KM-BERT-vocab was made (Kim et al. 2022)."""

    mode: Literal["extend"]
    base: str
    """Whose tokenizer is extended: a folder or a hub name, such as the foundation's."""
    terms: Annotated[tuple[TermList, ...], Field(min_length=1)]
    min_count: Positive = 3
    """Occurrences in the training text that a word of a term must have."""
    top: Positive = 10_000
    """Words at most, the most frequent ones."""
    always: tuple[TermList, ...] = ()
    """Lists whose words are added however rare (KM-BERT-vocab: 1,629 words of another experiment)."""


def _mode_of(settings: Any) -> str | None:
    return settings.get("mode", "train") if isinstance(settings, dict) else getattr(settings, "mode", None)


VocabularySettings = Annotated[
    Annotated[TrainedVocabulary, Tag("train")] | Annotated[ExtendedVocabulary, Tag("extend")], Discriminator(_mode_of)
]
