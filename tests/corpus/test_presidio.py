import importlib.util
import subprocess
import sys

import pytest

from bimed_dist.corpus.privacy import find, scanner
from bimed_dist.errors import ConfigError
from bimed_dist.recipe.corpus import PrivacySettings

MODELS = [name for name in ("en_core_web_lg", "en_core_web_md", "en_core_web_sm") if importlib.util.find_spec(name)]


def test_without_the_setting_presidio_is_not_even_imported():
    code = (
        "import sys\n"
        "from bimed_dist.corpus.privacy import scanner\n"
        "from bimed_dist.recipe.corpus import PrivacySettings\n"
        "scanner(PrivacySettings())('John Smith is here')\n"
        "assert not {'presidio_analyzer', 'spacy', 'torch'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_model_that_is_not_installed_is_named_with_the_remedy_and_never_downloaded():
    with pytest.raises(ConfigError, match=r"privacy\.presidio=no_such_model: \w+ is not installed; .*pip install"):
        scanner(PrivacySettings(presidio="no_such_model"))("John Smith is here")


@pytest.mark.slow
@pytest.mark.skipif(
    not MODELS or importlib.util.find_spec("presidio_analyzer") is None,
    reason="needs presidio-analyzer and a spaCy model such as en_core_web_sm",
)
def test_presidio_adds_english_names_that_have_no_cue_and_leaves_korean_lines_alone():
    text = "성명: 홍길동 Mary Jones\nJohn Smith is a retired teacher."
    matches = scanner(PrivacySettings(presidio=MODELS[0]))(text)
    assert matches[:-1] == find(text)
    assert text[matches[-1].start : matches[-1].end] == "John Smith"
