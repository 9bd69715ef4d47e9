"""transformers without its own progress bars and reports, where ours say it better."""

from collections.abc import Iterator
from contextlib import contextmanager

import transformers


@contextmanager
def quietly() -> Iterator[None]:
    """No bars and no warnings of new heads, which we name ourselves, while a folder is loaded or written."""
    log, bars = transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(log)
        if bars:
            transformers.logging.enable_progress_bar()
