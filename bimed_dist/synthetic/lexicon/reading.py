"""YAML files of the lexicon, read when first used. A malformed entry raises DataError with file and entry."""

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from string import Formatter
from typing import Any, Generic, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from bimed_dist.errors import DataError
from bimed_dist.files.yaml_keys import RepeatedKeyError, refuse_repeated_keys

FOLDER = Path(__file__).parent
T = TypeVar("T")
EntryType = TypeVar("EntryType", bound="Entry")
ModelType = TypeVar("ModelType", bound="Checked")


class Checked(BaseModel):
    """A record of a lexicon file; unknown and missing fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_min_length=1)


class Entry(Checked):
    key: str


class Table(Mapping[str, T], Generic[T]):
    """The entries of a file by key, in the order of the file, read at the first access."""

    def __init__(self, read: Callable[[], dict[str, T]]) -> None:
        self._read = read

    @cached_property
    def _entries(self) -> dict[str, T]:
        return self._read()

    def __getitem__(self, key: str) -> T:
        return self._entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class _Loader(yaml.CBaseLoader):
    """Every scalar is text (`no` and `1.10` stay as written); repeated keys are refused."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
        refuse_repeated_keys(node)
        return super().construct_mapping(node, deep=deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a file. Raises DataError if it is missing, not YAML, or not a mapping."""
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except RepeatedKeyError as error:
        raise DataError(f"{path}, {error}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"the lexicon file {path} can't be read: {error}") from None
    if not isinstance(tree, dict):
        raise DataError(f"{path} holds no mapping from keys to entries")
    return tree


def read_entries(
    path: Path, kind: type[EntryType], references: Mapping[str, Collection[str]] | None = None
) -> dict[str, EntryType]:
    """Return the checked entries of a file; `references` maps a field to the keys that it may name.

    Raises DataError with every malformed entry.
    """
    entries, problems = {}, []
    for key, fields in read_yaml(path).items():
        if not isinstance(fields, dict):
            problems.append(f"{key}: an entry is a mapping of fields")
            continue
        try:
            entries[key] = kind.model_validate({"key": key, **fields})
        except ValidationError as error:
            problems += [f"{key}.{line}" for line in _lines(error)]
        else:
            problems += [f"{key}.{line}" for line in unknown_references(entries[key], references or {})]
    return _without_problems(path, entries, problems)


def read_record(path: Path, kind: type[ModelType], references: Mapping[str, Collection[str]]) -> ModelType:
    """Return the content of a file that is one record. Raises DataError if it is malformed."""
    try:
        record = kind.model_validate(read_yaml(path))
    except ValidationError as error:
        raise DataError(_report(path, _lines(error))) from None
    return _without_problems(path, record, unknown_references(record, references))


def unknown_references(record: Checked, references: Mapping[str, Collection[str]]) -> list[str]:
    """Return `field: there is no entry NAME` for every key that a field names and that does not exist."""
    problems = []
    for field, known in references.items():
        value = getattr(record, field)
        names = [value] if isinstance(value, str) else value.values() if isinstance(value, Mapping) else value
        problems += [f"{field}: there is no entry {name}" for name in names if name not in known]
    return problems


def read_phrases(path: Path) -> dict[str, Any]:
    """Return nested phrases, lists as tuples, without `slots`.

    Raises DataError if a phrase uses a slot that is not listed there.
    """
    tree = read_yaml(path)
    slots = set(tree.pop("slots", {}))
    problems: list[str] = []

    def checked(node: Any, place: str) -> Any:
        if isinstance(node, dict):
            return {key: checked(value, f"{place}.{key}" if place else key) for key, value in node.items()}
        if isinstance(node, list):
            return tuple(checked(value, f"{place}.{i}") for i, value in enumerate(node))
        try:
            unknown = {name for _, name, _, _ in Formatter().parse(node) if name is not None} - slots
        except ValueError as error:
            unknown = set()
            problems.append(f"{place}: {error}")
        problems.extend(f"{place}: there is no slot {{{name}}}" for name in sorted(unknown))
        return node

    return _without_problems(path, checked(tree, ""), problems)


def _lines(error: ValidationError) -> list[str]:
    return [f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors(include_url=False)]


def _without_problems(path: Path, value: T, problems: list[str]) -> T:
    if problems:
        raise DataError(_report(path, problems))
    return value


def _report(path: Path, problems: list[str]) -> str:
    return f"{path}: {len(problems)} problem(s)\n" + "\n".join(f"  {problem}" for problem in problems)
