"""Settings and versions: stages with their times and digests, package versions, and the recipe."""

from collections.abc import Mapping

import yaml

from bimed_dist.manifest import Manifest
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.report.page import Section
from bimed_dist.report.tables import Cell, Table, make_table, text_cell
from bimed_dist.report.text import duration


def provenance_section(manifests: Mapping[str, Manifest], recipe: Recipe) -> Section:
    # The data folder is a path on somebody's machine; the digests identify its contents.
    settings = recipe.model_dump(mode="json", exclude={"data"}, exclude_none=True)
    return Section(
        title="Settings and versions",
        anchor="provenance",
        tables=(stages_table(manifests), versions_table(manifests)),
        code=yaml.safe_dump(settings, allow_unicode=True, sort_keys=False, default_flow_style=None, width=100),
    )


def stages_table(manifests: Mapping[str, Manifest]) -> Table:
    rows = [
        (text_cell(key), Cell(duration(m.seconds), m.seconds, "number"), Cell(m.digest[:12], m.digest))
        for key, m in manifests.items()
    ]
    total = sum(m.seconds for m in manifests.values())
    rows.append((text_cell("all"), Cell(duration(total), total, "number"), text_cell("")))
    return make_table("stages", "Stages", ("Stage", "Time", "Digest"), rows)


def versions_table(manifests: Mapping[str, Manifest]) -> Table:
    """Versions that the stages ran with; several if stages differ."""
    versions: dict[str, dict[str, None]] = {}
    for manifest in manifests.values():
        for package, version in manifest.versions.items():
            versions.setdefault(package, {})[version] = None
    rows = [(text_cell(package), text_cell(", ".join(used))) for package, used in versions.items()]
    return make_table("versions", "Versions", ("Package", "Version"), rows)
