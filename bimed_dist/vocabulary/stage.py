"""The vocabulary stage: words of train.jsonl -> WordPiece vocabulary -> tokenizer files and what it is worth.

A vocabulary is learned from the words (`train`), or is a foundation's with words of term lists behind it (`extend`).
composition.json tells its pieces by script; fertility.json how it and other tokenizers cut held-out documents, which
are only measured, never learned from; terms.csv what became of every term.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, pre_tokenizers
from tqdm import tqdm

from bimed_dist import manifest
from bimed_dist.errors import ConfigError
from bimed_dist.files.terms import Term, read_terms
from bimed_dist.hugging_face import load_tokenizer
from bimed_dist.recipe.base import TermList
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.recipe.vocabulary import ExtendedVocabulary, TrainedVocabulary
from bimed_dist.references import Located, data_path, locate
from bimed_dist.vocabulary import extension, terms
from bimed_dist.vocabulary.composition import as_table, composition
from bimed_dist.vocabulary.fertility import count_texts, fertility
from bimed_dist.vocabulary.pieces import LONGEST_WORD
from bimed_dist.vocabulary.tokenizer import build_tokenizer, config_of_new, save_tokenizer, text_normalizer
from bimed_dist.vocabulary.training import Vocabulary, train_vocabulary
from bimed_dist.vocabulary.words import available_cores, count_words, sentences
from bimed_dist.workspace import COMPOSITION, FERTILITY, HELD_OUT, TERMS, TRAIN, stage_folder

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Made:
    tokenizer: Tokenizer
    words: Mapping[str, int]
    """Words of the training text."""
    counts: dict[str, Any]


def run(recipe: Recipe, name: str, work: Path) -> manifest.Outcome:
    """Build `work/vocabulary/NAME`.

    Raises DataError where the corpus or a term list can't be used or the size is too small, ConfigError for a tokenizer
    or a protected word that does not fit.
    """
    settings = recipe.vocabulary[name]
    corpus = stage_folder(work, "corpus", settings.corpus)
    located = {reference: locate(reference, recipe, work) for reference in settings.compare}
    inputs = {f"corpus/{settings.corpus}": manifest.verified(corpus).digest}
    inputs |= {f"tokenizer {reference}": found.digest for reference, found in located.items()}
    base = None
    lists: dict[str, Path] = {}
    if isinstance(settings, ExtendedVocabulary):
        base = locate(settings.base, recipe, work)
        lists = {part.path: data_path(recipe, part.path) for part in (*settings.terms, *settings.always)}
        inputs |= {f"base {settings.base}": base.digest}
        inputs |= {f"terms/{path}": manifest.input_digest(file) for path, file in lists.items()}

    def make(folder: Path) -> dict[str, Any]:
        others = {r: load_tokenizer(found.location) for r, found in located.items()}
        made = _train(folder, settings, corpus) if base is None else _extend(folder, settings, corpus, base, lists)
        compared = {label: other.backend_tokenizer for label, other in others.items()}
        return _measure(folder, made, {f"vocabulary/{name}": made.tokenizer, **compared}, settings.examples, corpus)

    return manifest.build(
        stage_folder(work, "vocabulary", name),
        stage="vocabulary",
        settings={"seed": recipe.seed, **settings.model_dump(mode="json")},
        inputs=inputs,
        make=make,
    )


def _train(folder: Path, settings: TrainedVocabulary, corpus: Path) -> _Made:
    normalizer, pre_tokenizer = text_normalizer(settings.lowercase), pre_tokenizers.BertPreTokenizer()
    protected = protected_words(settings.protected, settings.lowercase)
    words = count_words(corpus / TRAIN, normalizer, pre_tokenizer, processes=available_cores())
    vocabulary = train_vocabulary(
        words,
        settings.size,
        settings.min_frequency,
        quotas=settings.quotas.model_dump() if settings.quotas else None,
        alphabet_limit=settings.alphabet_limit,
        unused=settings.unused_slots,
        protected=protected,
    )
    _log_shortfall(vocabulary, settings)
    tokenizer = build_tokenizer(vocabulary.pieces, settings.lowercase)
    save_tokenizer(tokenizer, folder, config_of_new(settings.lowercase))
    counts = {"requested": settings.size, "alphabet": vocabulary.alphabet, "quota_unfilled": vocabulary.unfilled}
    return _Made(tokenizer, words, counts)


def protected_words(given: Sequence[str], lowercase: bool) -> list[str]:
    """Protected words as the tokenizer sees them. ConfigError names all that can't be a piece or are there twice."""
    normalizer, pre_tokenizer = text_normalizer(lowercase), pre_tokenizers.BertPreTokenizer()
    words: dict[str, int] = {}
    problems = []
    for i, word in enumerate(given):
        cut = [part for part, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(word))]
        if len(cut) != 1:
            problems.append(f"  protected.{i} is cut into {len(cut)} words at its blanks and punctuation")
        elif len(cut[0]) > LONGEST_WORD:
            problems.append(f"  protected.{i} is longer than {LONGEST_WORD} characters")
        elif cut[0] in words:
            problems.append(f"  protected.{i} is protected.{words[cut[0]]} again")
        else:
            words[cut[0]] = i
    if problems:
        more = [f"  and {len(problems) - 20} more"] if len(problems) > 20 else []
        raise ConfigError(
            f"{len(problems)} protected word(s) can't be one piece each; remove them or write them otherwise\n"
            + "\n".join(problems[:20] + more)
        )
    return list(words)


def _log_shortfall(vocabulary: Vocabulary, settings: TrainedVocabulary) -> None:
    for language, left in vocabulary.unfilled.items():
        logger.warning("the corpus fills the quota of %s but for %d pieces; the others got them", language, left)
    if len(vocabulary.pieces) < settings.size:
        logger.warning(
            "the corpus gives %d pieces, %d were wanted: no further pair occurs %d times",
            len(vocabulary.pieces),
            settings.size,
            settings.min_frequency,
        )


def _extend(
    folder: Path, settings: ExtendedVocabulary, corpus: Path, base: Located, lists: Mapping[str, Path]
) -> _Made:
    loaded = load_tokenizer(base.location)
    old = loaded.backend_tokenizer
    extension.require_wordpiece(old, "base")
    words = count_words(corpus / TRAIN, old.normalizer, old.pre_tokenizer, processes=available_cores())

    def cut(term: str) -> list[str]:
        text = old.normalizer.normalize_str(term) if old.normalizer else term
        return [word for word, _ in old.pre_tokenizer.pre_tokenize_str(text)]

    def entries(parts: Sequence[TermList]) -> list[Term]:
        return [entry for part in parts for entry in read_terms(lists[part.path], part.columns, part.path)]

    candidates = terms.choose(
        entries(settings.terms),
        entries(settings.always),
        cut,
        old.get_vocab(),
        words,
        min_count=settings.min_count,
        top=settings.top,
    )
    terms.write_candidates(candidates, folder / TERMS)
    for problem in terms.problems_of(candidates):
        logger.warning("%s", problem)
    new = terms.new_pieces(candidates)
    if not new:
        logger.warning("no word of the term lists was added; %s says why of each", TERMS)
    tokenizer = extension.extended(old, new)
    save_tokenizer(tokenizer, folder, extension.config_of_extended(loaded))
    counts = {"base_pieces": old.get_vocab_size(), "added": len(new), "terms": terms.counts_of(candidates)}
    return _Made(tokenizer, words, counts)


def _measure(
    folder: Path, made: _Made, tokenizers: Mapping[str, Tokenizer], examples: Sequence[str], corpus: Path
) -> dict[str, Any]:
    """Write composition.json and fertility.json; returns the counts of the manifest."""
    pieces = sorted(made.tokenizer.get_vocab(), key=made.tokenizer.get_vocab().__getitem__)
    table = composition(pieces)
    manifest.write_json(folder / COMPOSITION, table)
    logger.info("%s", as_table(table["rows"], table["size"]))
    held_out = count_texts(tqdm(sentences(corpus / HELD_OUT), desc="held out", unit=" sentences", disable=None))
    found = fertility(tokenizers, held_out, made.words, examples)
    manifest.write_json(folder / FERTILITY, found)
    own = next(iter(found["tokenizers"].values()))
    return {
        "pieces": len(pieces),
        **made.counts,
        "words": sum(made.words.values()),
        "distinct_words": len(made.words),
        "pieces_per_word": own["all"]["pieces_per_word"],
        "unknown_share": own["all"]["unknown_share"],
        "by_script": {row["item"]: row["pieces"] for row in table["rows"]},
        "held_out": own["by_language"],
    }
