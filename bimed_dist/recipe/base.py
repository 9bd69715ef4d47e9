"""What the settings of every stage are made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Language = str
"""`ko`, what Latin script means in a source (`en`, `nl`, ...), `mixed` for Hangul with Latin script, or `other`."""
# No dots: `--set a.b=c` is split at them, and NAME.partial is a folder that is being built.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0)]
Above0 = Annotated[float, Field(gt=0)]
Below1 = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[int, Field(ge=0)]


class Settings(BaseModel):
    """Frozen and strict: unknown keys and impossible values are refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False, str_min_length=1)
