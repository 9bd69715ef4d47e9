"""Settings of the vocabulary stage: a vocabulary is trained on a corpus, or a foundation's is extended."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from bimed_dist.recipe.base import Name, NotNegative, Positive, Settings, Share, TermList


class Quotas(Settings):
    """Shares of the vocabulary by script; they add up to 1."""

    ko: Share
    """Hangul tokens."""
    en: Share
    """Tokens in Latin letters."""
    other: Share
    """Digits, symbols, tokens of both scripts, other scripts, special tokens."""

    @model_validator(mode="after")
    def add_up_to_one(self) -> "Quotas":
        total = self.ko + self.en + self.other
        if abs(total - 1) > 1e-6:
            raise ValueError(f"ko, en and other add up to {total:g}, not to 1")
        return self


class _Vocabulary(Settings):
    corpus: Name
    """Corpus of this recipe whose words are counted."""
    compare_with: tuple[str, ...] = ()
    """Other tokenizers that the fertility report measures on the same held-out text: `vocabulary/NAME`, folders or hub
    names, such as the foundation's."""
    example_terms: tuple[str, ...] = (
        *("ibuprofen", "이부프로펜", "systemic sclerosis", "전신경화증"),
        *("nephrosclerosis", "신경화증", "pulmonary embolism", "폐색전증"),
    )
    """Terms whose tokens the report shows for all compared tokenizers."""


class TrainedVocabulary(_Vocabulary):
    """WordPiece tokens learned from the corpus by byte-pair merging."""

    mode: Literal["train"] = "train"
    """Learn a vocabulary from the corpus."""
    size: Annotated[int, Field(ge=300)] = 45_000
    """Number of tokens, the five special tokens included (45,000 in Jo et al. 2025)."""
    min_frequency: Positive = 2
    """Occurrences that a character needs to be in the alphabet, and a pair of tokens to be merged."""
    lowercase: bool = False
    """Lower-case all text. Hangul stays composed and accents stay either way."""
    quotas: Quotas | None = None
    """Shares of the vocabulary by script. `null`: the most frequent pairs are merged, whatever their script."""
    limit_alphabet: Positive | None = None
    """Keep this many characters, the most frequent ones; words with any other become [UNK]. `null`: no limit."""
    unused_tokens: NotNegative = 0
    """Number of `[unusedN]` tokens, which occur in no text and can be given a meaning later."""
    protected_words: tuple[str, ...] = ()
    """Words that are one token each, however rare; without spaces and punctuation."""

    @model_validator(mode="after")
    def protected_words_are_words(self) -> "TrainedVocabulary":
        places = [f"protected_words.{i}" for i, word in enumerate(self.protected_words) if len(word.split()) != 1]
        if places:
            raise ValueError(f"{', '.join(places)}: contains a space, but a token is at most one word")
        return self


class ExtendedVocabulary(_Vocabulary):
    """A foundation's vocabulary with words of term lists added, as in KM-BERT-vocab (Kim et al. 2022)."""

    mode: Literal["extend"]
    """Extend an existing vocabulary."""
    base: str
    """Tokenizer to extend: a folder or a hub name, such as the foundation's."""
    terms: Annotated[tuple[TermList, ...], Field(min_length=1)]
    """Term lists whose frequent words are added."""
    min_frequency: Positive = 3
    """Occurrences in the training text that a word of `terms` needs."""
    max_words: Positive = 10_000
    """Words of `terms` to take at most, the most frequent first; words that the base already has count too."""
    forced_terms: tuple[TermList, ...] = ()
    """Term lists whose words are all added, however rare (KM-BERT-vocab: 1,629 words of another study)."""


def _mode_of(settings: Any) -> str | None:
    return settings.get("mode", "train") if isinstance(settings, dict) else getattr(settings, "mode", None)


VocabularySettings = Annotated[
    Annotated[TrainedVocabulary, Tag("train")] | Annotated[ExtendedVocabulary, Tag("extend")], Discriminator(_mode_of)
]
