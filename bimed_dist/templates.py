"""HTML pages from the templates of a package: every text is escaped, and a name that is not there is an error."""

import jinja2
from markupsafe import Markup


def environment(package: str) -> jinja2.Environment:
    """Templates that lie beside the modules of `package`, with its `page.css` as `css`."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader(package, "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Our own file; everything else passes through autoescape.
    found.globals["css"] = Markup(found.loader.get_source(found, "page.css")[0])
    return found
