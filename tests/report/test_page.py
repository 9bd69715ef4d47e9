"""The page as HTML and Markdown: texts are escaped, nothing is loaded, private paths are hidden, results come first."""

import re
from html.parser import HTMLParser

import fake_work

from bimed_dist.report.page import linked


class Elements(HTMLParser):
    """(tag, attributes) of every element."""

    def __init__(self, html: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))


def elements_of(html: str) -> list[tuple[str, dict[str, str | None]]]:
    return Elements(html).elements


def test_names_titles_and_errors_are_escaped(work, page_html):
    assert fake_work.SCRIPT not in page_html
    assert page_html.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 5
    elements = elements_of(page_html)
    assert not [tag for tag, _ in elements if tag in ("script", "iframe", "object", "embed", "form", "base")]
    assert not [name for _, attributes in elements for name in attributes if name.startswith("on")]
    markdown = (work / "report/report.md").read_text(encoding="utf-8")
    assert "<script>" not in markdown.replace(r"\<", "").split("name: demo")[0]


def test_the_page_loads_nothing_and_links_only_citations(page_html):
    elements = elements_of(page_html)
    policies = [a["content"] for t, a in elements if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1 and policies[0].startswith("default-src 'none'; ")
    assert "script-src" not in policies[0]
    for tag, attributes in elements:
        for name in ("src", "href", "xlink:href", "data", "srcset", "poster"):
            address = attributes.get(name) or "#"
            is_citation = tag == "a" and address.startswith("https://doi.org/10.1186/")
            assert address.startswith("#") or is_citation, (tag, address)
    assert "@import" not in page_html and not re.search(r"url\((?!#)", page_html)


def test_links_in_citations_can_not_break_out():
    html = linked('see https://example.org/a"onerror="x and doi 10.1186/s12911-025-03262-7, javascript:alert(1)')
    assert html == (
        'see <a href="https://example.org/a">https://example.org/a</a>&#34;onerror=&#34;x and doi '
        '<a href="https://doi.org/10.1186/s12911-025-03262-7">10.1186/s12911-025-03262-7</a>, javascript:alert(1)'
    )


def test_ids_are_unique_over_all_figures(page_html):
    ids = [attributes["id"] for _, attributes in elements_of(page_html) if "id" in attributes]
    assert len(ids) > 50
    assert len(set(ids)) == len(ids)
    assert "<!--" not in page_html


def test_results_forgetting_and_limits_come_before_the_details(page_html):
    assert re.findall(r"<h2>(.*?)</h2>", page_html) == [
        "Main results",
        "Forgetting",
        "Limits",
        "Tasks in detail",
        "Vocabulary",
        "Embedding initialization",
        "Training curves",
        "Corpus",
        "Settings and versions",
    ]


def test_the_recipe_is_shown_without_the_folder_of_the_data(page_html):
    assert "/somewhere/private" not in page_html
    assert "global_batch: 64" in page_html
