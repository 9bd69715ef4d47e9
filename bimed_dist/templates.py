"""HTML pages from jinja2 templates: all text is escaped, and an undefined name is an error."""

import jinja2
from markupsafe import Markup


def environment(package: str) -> jinja2.Environment:
    """Return the templates next to the modules of `package`, with the content of its `page.css` as `css`."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader(package, "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # A file of this package, so it is safe; everything else passes through autoescape.
    templates.globals["css"] = Markup(templates.loader.get_source(templates, "page.css")[0])
    return templates
