"""Every setting is documented, and declared to decide the result or only how it is computed."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest

from bimed_dist.recipe.base import Settings
from bimed_dist.recipe.recipe import Recipe

HOW_ONLY: dict[str, set[str]] = {
    "PretrainingSettings": {
        *("accelerate_config", "heartbeat_timeout_seconds", "time_budget_hours", "checkpoint_every"),
        *("keep_checkpoints", "max_skipped_steps", "log_every", "validate_every", "trackers", "profile_steps"),
    },
    "Recipe": {"data"},
    "CorpusSettings": {"execution"},
    "EvaluationSettings": {"workers"},
    "EvaluatedModel": {"language"},
}
"""Class -> its settings that do not change a result. All other settings are in `identity()`: if one of them changes,
a finished stage must run again."""


def settings_in(annotation: Any) -> Iterator[type[Settings]]:
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        yield annotation
    for argument in get_args(annotation):
        yield from settings_in(argument)


def reachable(settings_class: type[Settings]) -> dict[str, type[Settings]]:
    """Return the class and all settings classes in its fields, by name."""
    classes, waiting = {}, [settings_class]
    while waiting:
        current = waiting.pop()
        if current.__name__ not in classes:
            classes[current.__name__] = current
            for field in current.model_fields.values():
                waiting.extend(settings_in(field.annotation))
                waiting.extend(found for extra in field.metadata for found in settings_in(extra))
    return classes


CLASSES = reachable(Recipe)


def test_every_section_is_reached():
    assert {"PrivacySettings", "ExtendedVocabulary", "Architecture", "LongPhase", "TaskSettings"} <= CLASSES.keys()


def test_settings_that_do_not_change_a_result_are_listed_here():
    declared = {name: set(settings.HOW_ONLY) for name, settings in CLASSES.items() if settings.HOW_ONLY}
    assert declared == HOW_ONLY


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_identity_holds_every_other_setting(name: str):
    settings_class = CLASSES[name]
    fields = settings_class.model_fields.keys()
    assert fields >= settings_class.HOW_ONLY, "HOW_ONLY names a setting that does not exist"
    values = settings_class.model_construct(**dict.fromkeys(fields))
    assert values.identity().keys() == fields - settings_class.HOW_ONLY


def test_identity_reaches_into_nested_settings():
    class Inner(Settings):
        HOW_ONLY = frozenset({"workers"})
        size: int = 1
        workers: int = 2

    class Outer(Settings):
        one: Inner = Inner()
        several: tuple[Inner, ...] = (Inner(size=3),)
        by_name: dict[str, Inner]

    assert Outer(by_name={"a": Inner(size=4)}).identity() == {
        "one": {"size": 1},
        "several": [{"size": 3}],
        "by_name": {"a": {"size": 4}},
    }


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_setting_has_a_docstring(name: str):
    """The docstrings are the reference that users read (docs/settings.md)."""
    settings_class = CLASSES[name]
    assert "__doc__" in vars(settings_class) and settings_class.__doc__, f"{name} has no docstring"
    # A class explains its own tag (`kind: text`), and a section of settings itself.
    explained = {"kind", "mode"} | {
        field for field, info in settings_class.model_fields.items() if isinstance(info.annotation, type(Settings))
    }
    undocumented = {field for field, info in settings_class.model_fields.items() if not info.description} - explained
    assert undocumented == set()
