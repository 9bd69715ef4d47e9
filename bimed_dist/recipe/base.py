"""Base class of all settings, and the types of their values."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

# No dots, which separate the names in `--set a.b=c` and mark unfinished folders (NAME.partial).
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0)]
Above0 = Annotated[float, Field(gt=0)]
Below1 = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[int, Field(ge=0)]


class Settings(BaseModel):
    """Frozen and strict: unknown settings and values out of range are refused. Docstrings of fields are the reference
    that users read (docs/settings.md)."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, str_min_length=1, use_attribute_docstrings=True
    )

    HOW_ONLY: ClassVar[frozenset[str]] = frozenset()
    """Fields that say how a result is computed (on which machines, with how much logging) and do not change it."""

    def identity(self) -> dict[str, Any]:
        """Return the settings that decide the result, as JSON values: every field that is not in `HOW_ONLY`."""
        return {name: _identity(getattr(self, name)) for name in type(self).model_fields if name not in self.HOW_ONLY}


def _identity(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.identity()
    if isinstance(value, Mapping):
        return {key: _identity(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_identity(item) for item in value]
    return value


class TermList(Settings):
    """Terms in columns of a table."""

    path: str
    """A .csv or .tsv file with a header line, relative to the recipe's `data`."""
    columns: Annotated[tuple[str, ...], Field(min_length=1)]
    """Columns that hold terms."""
