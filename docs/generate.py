"""Write docs/settings.md from the classes of bimed_dist/recipe, and docs/map.md from the docstring of every module."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bimed_dist.recipe.base import Settings
from bimed_dist.recipe.recipe import STAGES, Recipe

ROOT = Path(__file__).resolve().parent.parent
MAPPED_FOLDERS = ("bimed_dist", "launch", "benchmarks")
SETTINGS_INTRODUCTION = """\
# Settings

Every setting of a recipe. This page is generated from the classes in `bimed_dist/recipe/` by `make docs`.

A recipe is one YAML file with a section per stage. In the headings below, `NAME` is a name that you choose (letters,
digits, `_`, `-`), and `N` is a position in a list, counted from 0. `--set` takes the same places, in any program of
`launch/`:

```bash
python launch/pipeline.py launch/recipes/demo.yaml --work work/demo --set pretraining.ko-mini.steps=100
```

`null` means "not set" or "off". Unknown settings and values out of range are refused before anything runs. Settings
marked ° decide only how a result is computed: they may change while the work folder stays. If another setting changes,
finished stages that depend on it are refused until their folders are removed or another work folder is chosen.

Sections: {sections}.
"""
PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9_-]*$": "name",
    "^[a-z]{2}$": "two-letter language code",
    "^([a-z]{2}|mixed|any)$": "two-letter language code, `mixed` or `any`",
    "^[0-9a-f]{8,64}$": "8 to 64 hexadecimal digits",
}


class Section(NamedTuple):
    """Settings of one place in the recipe; several classes if a setting chooses between them (a source's kind)."""

    place: str
    classes: tuple[str, ...]


def _definitions() -> dict[str, Any]:
    schema = Recipe.model_json_schema()
    return {"Recipe": schema, **schema["$defs"]}


DEFINITIONS = _definitions()


def settings_page() -> str:
    sections = [Section("recipe", ("Recipe",)), *_sections_below("", DEFINITIONS["Recipe"], set())]
    places = {name: section.place for section in sections for name in section.classes}
    links = ", ".join(f"[{stage}](#{anchor(_place_of_stage(stage))})" for stage in (*STAGES, "attribution"))
    parts = [SETTINGS_INTRODUCTION.format(sections=links)]
    parts += [_section_text(section, places) for section in sections]
    return "\n".join(parts)


def _place_of_stage(stage: str) -> str:
    return stage if stage in ("evaluation", "report") else f"{stage}.NAME"


def _sections_below(place: str, definition: dict[str, Any], done: set[str]) -> Iterator[Section]:
    """Yield the sections of nested settings, each class once, in the order of the fields."""
    for name, field in definition["properties"].items():
        for nested_place, classes in _nested(f"{place}.{name}".lstrip("."), field):
            new = tuple(name for name in classes if name not in done)
            done.update(new)
            if new:
                yield Section(nested_place, new)
            for class_name in new:
                yield from _sections_below(nested_place, DEFINITIONS[class_name], done)


def _nested(place: str, schema: dict[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (place, names of classes) of the settings classes in a field's type."""
    if "$ref" in schema:
        yield place, (_class_name(schema),)
    elif "oneOf" in schema:
        yield place, tuple(_class_name(option) for option in schema["oneOf"])
    for option in schema.get("anyOf", ()):
        yield from _nested(place, option)
    if "items" in schema:
        yield from _nested(f"{place}.N", schema["items"])
    if (values := _values_of_mapping(schema)) is not None:
        yield from _nested(f"{place}.NAME", values)


def _class_name(schema: dict[str, Any]) -> str:
    return schema["$ref"].rpartition("/")[2]


def _values_of_mapping(schema: dict[str, Any]) -> dict[str, Any] | None:
    if "patternProperties" in schema:
        return next(iter(schema["patternProperties"].values()))
    values = schema.get("additionalProperties")
    return values if isinstance(values, dict) else None


def _section_text(section: Section, places: dict[str, str]) -> str:
    level = "##" if section.place.count(".") <= 1 else "###"
    lines = [f"{level} {section.place}", ""]
    tag = _tag(section.classes)
    if tag is None:
        lines += [_description(section.classes[0]), ""]
    else:
        for name in section.classes:
            lines.append(f"* `{tag}: {_tag_value(name, tag)}`: {_description(name)}")
        lines.append("")
    lines += ["| setting | type | default | meaning |", "|---|---|---|---|", *_rows(section, tag, places), ""]
    return "\n".join(lines)


def _tag(classes: tuple[str, ...]) -> str | None:
    """Return the setting that chooses between the classes of a union, such as `kind`."""
    shared = set.intersection(*(set(DEFINITIONS[name]["properties"]) for name in classes))
    tags = [
        field for field in sorted(shared) if all(_is_tag(DEFINITIONS[name]["properties"][field]) for name in classes)
    ]
    return tags[0] if tags and len(classes) > 1 else None


def _is_tag(field: dict[str, Any]) -> bool:
    return "const" in field or "enum" in field


def _tag_value(name: str, tag: str) -> str:
    field = DEFINITIONS[name]["properties"][tag]
    return " | ".join([field["const"]] if "const" in field else field["enum"])


def _rows(section: Section, tag: str | None, places: dict[str, str]) -> Iterator[str]:
    """Yield a table row per setting; settings that differ between the classes of a union have a row per variant."""
    names = dict.fromkeys(field for name in section.classes for field in DEFINITIONS[name]["properties"])
    for field in names:
        if field == tag:
            continue
        variants: dict[str, list[str]] = {}
        for name in section.classes:
            if field in DEFINITIONS[name]["properties"]:
                variants.setdefault(_cells(name, field, places), []).append(name)
        for cells, classes in variants.items():
            mark = " °" if field in _class(classes[0]).HOW_ONLY else ""
            yield f"| `{field}`{mark}{_limited_to(classes, section.classes, tag)} {cells}"


def _limited_to(classes: list[str], all_classes: tuple[str, ...], tag: str | None) -> str:
    """Return ` (text, jsonl)`, the kinds that have a setting, or ` (not synthetic)` if one kind lacks it."""
    others = [name for name in all_classes if name not in classes]
    if not others or tag is None:
        return ""
    negated = len(others) == 1 and len(classes) > 1
    kinds = ", ".join(_tag_value(name, tag).replace(" | ", ", ") for name in (others if negated else classes))
    return f" (not {kinds})" if negated else f" ({kinds})"


def _cells(name: str, field: str, places: dict[str, str]) -> str:
    definition = DEFINITIONS[name]
    schema = definition["properties"][field]
    required = field in definition.get("required", ())
    meaning = schema.get("description") or (_description(_class_name(schema)) if "$ref" in schema else "")
    cells = (_type(schema, places), "required" if required else _default(schema), _flat(meaning))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(schema: dict[str, Any]) -> str:
    if "default" not in schema:
        return "`{}`"
    default = schema["default"]
    if isinstance(default, dict) and default:
        return "its defaults"
    if isinstance(default, list):
        return f"`[{', '.join(str(item) for item in default)}]`"
    return f"`{default}`" if isinstance(default, str) else f"`{json.dumps(default)}`"


def _type(schema: dict[str, Any], places: dict[str, str]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(option, places) for option in schema["anyOf"])
    if "$ref" in schema or "oneOf" in schema:
        place = places[_class_name(schema if "$ref" in schema else schema["oneOf"][0])]
        return f"[settings](#{anchor(place)})"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        *first, last = [f"`{value}`" for value in schema["enum"]]
        return f"{', '.join(first)} or {last}" if first else last
    if (values := _values_of_mapping(schema)) is not None:
        return f"mapping of {_key_type(schema)} to {_type(values, places)}"
    match schema["type"]:
        case "null":
            return "`null`"
        case "boolean":
            return "`true` or `false`"
        case "string":
            return PATTERNS[schema["pattern"]] if "pattern" in schema else "text"
        case "array":
            return _list_type(schema, places)
        case number:
            return f"{number}{_range(schema)}"


def _key_type(schema: dict[str, Any]) -> str:
    if "patternProperties" in schema:
        return "names"
    keys = schema.get("propertyNames", {})
    return _type(keys, {}) if "enum" in keys else "text"


def _list_type(schema: dict[str, Any], places: dict[str, str]) -> str:
    if "prefixItems" in schema:
        return f"list of {len(schema['prefixItems'])}: {_type(schema['prefixItems'][0], places)}"
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    count = f" ({least} to {most})" if most else " (at least 1)" if least else ""
    return f"list of {_type(schema['items'], places)}{count}"


def _range(schema: dict[str, Any]) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f" from {schema['minimum']:g} to {schema['maximum']:g}"
    bounds = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
    limits = [f"{sign} {schema[key]:g}" for key, sign in bounds if key in schema]
    return " " + " and ".join(limits) if limits else ""


def _description(class_name: str) -> str:
    return _flat(DEFINITIONS[class_name].get("description", ""))


def _flat(text: str) -> str:
    return " ".join(text.split())


def anchor(heading: str) -> str:
    """Return GitHub's anchor of a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _class(name: str) -> type[Settings]:
    waiting: list[type[Settings]] = [Settings]
    for settings in waiting:
        if settings.__name__ == name:
            return settings
        waiting.extend(settings.__subclasses__())
    raise KeyError(name)


def map_page() -> str:
    lines = [
        "# Map",
        "",
        "Every module in one line, its first sentence. This page is generated from the docstrings by `make docs`.",
    ]
    for folder in MAPPED_FOLDERS:
        for directory in sorted({path.parent for path in (ROOT / folder).rglob("*.py")}):
            lines += ["", f"## {directory.relative_to(ROOT)}", ""]
            if (directory / "__init__.py").is_file() and (summary := _summary(directory / "__init__.py")):
                lines += [summary, ""]
            for path in sorted(directory.glob("*.py")):
                if path.name != "__init__.py":
                    lines.append(f"* [{path.name}](../{path.relative_to(ROOT).as_posix()}): {_summary(path)}")
    return "\n".join(lines) + "\n"


def _summary(path: Path) -> str:
    """Return the first sentence of a module's docstring."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    sentence = re.split(r"(?<=[.?!])\s", _flat(docstring.partition("\n\n")[0]))[0]
    return sentence.rstrip(".")


if __name__ == "__main__":
    (ROOT / "docs" / "settings.md").write_text(settings_page(), encoding="utf-8")
    (ROOT / "docs" / "map.md").write_text(map_page(), encoding="utf-8")
