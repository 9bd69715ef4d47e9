"""The vocabulary stage: words of the training text -> WordPiece vocabulary -> tokenizer files and their measures.

A vocabulary is learned from the words (`train`), or it is a foundation's with words of term lists added (`extend`).
composition.json counts its tokens by script; fertility.json measures it and other tokenizers on held-out documents,
from which nothing is learned; terms.csv has the outcome for every term.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, pre_tokenizers

from bimed_dist import manifest
from bimed_dist.errors import ConfigError
from bimed_dist.files.terms import Term, read_terms
from bimed_dist.hugging_face import load_tokenizer
from bimed_dist.processes import available_cores
from bimed_dist.recipe.base import TermList
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.recipe.vocabulary import ExtendedVocabulary, TrainedVocabulary
from bimed_dist.references import Located, data_path, locate
from bimed_dist.vocabulary import terms
from bimed_dist.vocabulary.fertility import count_texts, fertility
from bimed_dist.vocabulary.tokenizer import (
    build_tokenizer,
    config_of_extended,
    config_of_new,
    extend_tokenizer,
    require_wordpiece,
    save_tokenizer,
    text_normalizer,
)
from bimed_dist.vocabulary.tokens import MAX_WORD_LENGTH, composition, format_composition
from bimed_dist.vocabulary.training import Vocabulary, train_vocabulary
from bimed_dist.vocabulary.words import count_words, sentences
from bimed_dist.workspace import COMPOSITION, FERTILITY, HELD_OUT, TERMS, TRAIN, stage_folder

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Built:
    tokenizer: Tokenizer
    words: Mapping[str, int]
    """Word counts of the training text."""
    counts: dict[str, Any]
    """Counts for the manifest that depend on the mode."""


def run(recipe: Recipe, name: str, work: Path) -> manifest.Outcome:
    """Build `work/vocabulary/NAME`.

    Raises DataError if the corpus or a term list can't be used or `size` is too small, ConfigError for a tokenizer or
    a protected word that does not fit.
    """
    settings = recipe.vocabulary[name]
    corpus = stage_folder(work, "corpus", settings.corpus)
    located = {reference: locate(reference, recipe, work) for reference in settings.compare_with}
    inputs = {f"corpus/{settings.corpus}": manifest.verified(corpus).digest}
    inputs |= {f"tokenizer {reference}": tokenizer.digest for reference, tokenizer in located.items()}
    base = None
    lists: dict[str, Path] = {}
    if isinstance(settings, ExtendedVocabulary):
        base = locate(settings.base, recipe, work)
        lists = {part.path: data_path(recipe, part.path) for part in (*settings.terms, *settings.forced_terms)}
        inputs |= {f"base {settings.base}": base.digest}
        inputs |= {f"terms/{path}": manifest.input_digest(file) for path, file in lists.items()}

    def make(folder: Path) -> dict[str, Any]:
        loaded = {reference: load_tokenizer(tokenizer.location) for reference, tokenizer in located.items()}
        built = _train(folder, settings, corpus) if base is None else _extend(folder, settings, corpus, base, lists)
        compared = {reference: tokenizer.backend_tokenizer for reference, tokenizer in loaded.items()}
        tokenizers = {f"vocabulary/{name}": built.tokenizer, **compared}
        return _measure(folder, built, tokenizers, settings.example_terms, corpus)

    return manifest.build(
        stage_folder(work, "vocabulary", name),
        stage="vocabulary",
        settings={"seed": recipe.seed, **settings.identity()},
        inputs=inputs,
        make=make,
    )


def _train(folder: Path, settings: TrainedVocabulary, corpus: Path) -> _Built:
    normalizer, pre_tokenizer = text_normalizer(settings.lowercase), pre_tokenizers.BertPreTokenizer()
    protected = normalize_protected(settings.protected_words, settings.lowercase)
    words = count_words(corpus / TRAIN, normalizer, pre_tokenizer, processes=available_cores())
    vocabulary = train_vocabulary(
        words,
        settings.size,
        settings.min_frequency,
        quotas=settings.quotas.model_dump() if settings.quotas else None,
        limit_alphabet=settings.limit_alphabet,
        unused=settings.unused_tokens,
        protected=protected,
    )
    _log_shortfall(vocabulary, settings)
    tokenizer = build_tokenizer(vocabulary.tokens, settings.lowercase)
    save_tokenizer(tokenizer, folder, config_of_new(settings.lowercase))
    counts = {"requested": settings.size, "alphabet": vocabulary.alphabet, "quota_unfilled": vocabulary.unfilled}
    return _Built(tokenizer, words, counts)


def normalize_protected(words: Sequence[str], lowercase: bool) -> list[str]:
    """Return protected words as the tokenizer normalizes them.

    Raises ConfigError with all that can't be a single token.
    """
    normalizer, pre_tokenizer = text_normalizer(lowercase), pre_tokenizers.BertPreTokenizer()
    places: dict[str, int] = {}
    problems = []
    for i, word in enumerate(words):
        parts = [part for part, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(word))]
        if len(parts) != 1:
            problems.append(f"  protected_words.{i} is split into {len(parts)} words at spaces and punctuation")
        elif len(parts[0]) > MAX_WORD_LENGTH:
            problems.append(f"  protected_words.{i} is longer than {MAX_WORD_LENGTH} characters")
        elif parts[0] in places:
            problems.append(f"  protected_words.{i} repeats protected_words.{places[parts[0]]}")
        else:
            places[parts[0]] = i
    if problems:
        more = [f"  and {len(problems) - 20} more"] if len(problems) > 20 else []
        raise ConfigError(
            f"{len(problems)} protected word(s) can't be one token each; remove or change them\n"
            + "\n".join(problems[:20] + more)
        )
    return list(places)


def _log_shortfall(vocabulary: Vocabulary, settings: TrainedVocabulary) -> None:
    for quota, unfilled in vocabulary.unfilled.items():
        logger.warning("the corpus does not fill the quota of %s: %d tokens went to the others", quota, unfilled)
    if len(vocabulary.tokens) < settings.size:
        logger.warning(
            "the corpus gives %d tokens instead of %d: no other pair occurs %d times",
            *(len(vocabulary.tokens), settings.size, settings.min_frequency),
        )


def _extend(
    folder: Path, settings: ExtendedVocabulary, corpus: Path, base: Located, lists: Mapping[str, Path]
) -> _Built:
    loaded = load_tokenizer(base.location)
    old = loaded.backend_tokenizer
    require_wordpiece(old)
    words = count_words(corpus / TRAIN, old.normalizer, old.pre_tokenizer, processes=available_cores())

    def split(term: str) -> list[str]:
        text = old.normalizer.normalize_str(term) if old.normalizer else term
        return [word for word, _ in old.pre_tokenizer.pre_tokenize_str(text)]

    def read(parts: Sequence[TermList]) -> list[Term]:
        return [term for part in parts for term in read_terms(lists[part.path], part.columns, part.path)]

    candidates = terms.select_words(
        read(settings.terms),
        read(settings.forced_terms),
        split,
        old.get_vocab(),
        words,
        min_frequency=settings.min_frequency,
        max_words=settings.max_words,
    )
    terms.write_candidates(candidates, folder / TERMS)
    for line in terms.describe_useless_rows(candidates):
        logger.warning("%s", line)
    added = terms.added_words(candidates)
    if not added:
        logger.warning("no word of the term lists was added; %s has the reason for each", TERMS)
    tokenizer = extend_tokenizer(old, added)
    save_tokenizer(tokenizer, folder, config_of_extended(loaded))
    counts = {"base_tokens": old.get_vocab_size(), "added": len(added), "terms": terms.count_outcomes(candidates)}
    return _Built(tokenizer, words, counts)


def _measure(
    folder: Path, built: _Built, tokenizers: Mapping[str, Tokenizer], example_terms: Sequence[str], corpus: Path
) -> dict[str, Any]:
    """Write composition.json and fertility.json; return the counts of the manifest."""
    vocabulary = built.tokenizer.get_vocab()
    table = composition(sorted(vocabulary, key=vocabulary.__getitem__))
    manifest.write_json(folder / COMPOSITION, table)
    logger.info("%s", format_composition(table))
    held_out = count_texts(sentences(corpus / HELD_OUT))
    measured = fertility(tokenizers, held_out, built.words, example_terms)
    manifest.write_json(folder / FERTILITY, measured)
    first = next(iter(measured["tokenizers"].values()))
    return {
        "tokens": len(vocabulary),
        **built.counts,
        "words": sum(built.words.values()),
        "distinct_words": len(built.words),
        "tokens_per_word": first["all"]["tokens_per_word"],
        "unknown_share": first["all"]["unknown_share"],
        "by_script": {row["script"]: row["tokens"] for row in table["rows"]},
        "held_out": first["by_language"],
    }
