"""Names of people in English text, by Microsoft Presidio with a spaCy model. Optional; needs no network.

Presidio is not a dependency: `pip install -e .[presidio]` and a spaCy model, which is installed like a package. It is
used for names only; `identities` finds numbers and addresses in all languages.
"""

import functools
import importlib.util
import re
from collections.abc import Iterator
from typing import Any

from bimed_dist.errors import ConfigError
from bimed_dist.language import has_hangul

LONGEST_LINE = 100_000
"""Characters per call of spaCy, whose memory grows with them."""
_LINE = re.compile(rf"[^\n]{{1,{LONGEST_LINE}}}")


def names(text: str, model: str) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of each name in the lines without Hangul.

    Raises ConfigError if Presidio or the spaCy model is not installed.
    """
    analyzer = _analyzer(model)
    for line in _LINE.finditer(text):
        if not has_hangul(line[0]):
            for result in analyzer.analyze(text=line[0], language="en", entities=["PERSON"]):
                yield line.start() + result.start, line.start() + result.end


@functools.lru_cache(maxsize=1)
def _analyzer(model: str) -> Any:
    for package, remedy in (
        ("presidio_analyzer", "pip install -e .[presidio]"),
        (model, f"python -m spacy download {model}, or pip install its wheel"),
    ):
        if importlib.util.find_spec(package) is None:
            raise ConfigError(f"privacy.presidio={model}: {package} is not installed; {remedy}, or remove the setting")
    # Imported here: it takes seconds and loads torch, which nothing else in the corpus stage needs.
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NlpEngineProvider
    from presidio_analyzer.predefined_recognizers import SpacyRecognizer

    models = [{"lang_code": "en", "model_name": model}]
    engine = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models}).create_engine()
    # One of the default recognisers fetches a list of domains from the network.
    registry = RecognizerRegistry(recognizers=[SpacyRecognizer(supported_entities=["PERSON"])])
    return AnalyzerEngine(nlp_engine=engine, registry=registry, supported_languages=["en"])
