import pytest

from bimed_dist.errors import ConfigError
from bimed_dist.shards.encoding import Encoder


def test_a_damaged_tokenizer_is_a_mistake_of_the_recipe_and_no_traceback(write_tokenizer, tmp_path):
    folder = write_tokenizer(tmp_path / "tokenizer", ["폐"])
    (folder / "tokenizer.json").write_text('{"version": "1.0", "model": {}}', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"no tokenizer can be loaded from .*check `tokenizer`"):
        Encoder(str(folder))
