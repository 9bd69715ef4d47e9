import csv
import unicodedata
from pathlib import Path

import pytest

from bimed_dist.errors import DataError
from bimed_dist.evaluation.preparation.inputs import task_inputs
from bimed_dist.files.terms import read_terms
from bimed_dist.recipe.base import TermList
from bimed_dist.recipe.evaluation import TaskSettings
from bimed_dist.recipe.recipe import Recipe


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def evaluation_terms(path: Path, *columns: str) -> list[str]:
    recipe = Recipe(name="r", seed=1, data=str(path.parent))
    settings = TaskSettings(task="mlm_terms", corpus="c", terms=TermList(path=path.name, columns=columns))
    return list(task_inputs(settings, recipe, path.parent).terms)


TERMS = ["폐렴", 'pulmonary "ground glass"', "급성 기관지염", "CT, chest"]


@pytest.mark.parametrize("name", ["terms.tsv", "terms.csv"])
@pytest.mark.parametrize(
    ("form", "encoding"), [("NFC", "utf-8"), ("NFD", "utf-8"), ("NFC", "utf-8-sig"), ("NFC", "cp949")]
)
def test_vocabulary_and_evaluation_read_the_same_terms_however_the_list_was_saved(name, form, encoding, tmp_path):
    path = tmp_path / name
    delimiter = "\t" if name.endswith("tsv") else ","
    with path.open("w", encoding=encoding, newline="") as file:
        rows = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        rows.writerows([unicodedata.normalize(form, cell)] for cell in ["한국어", *TERMS])
    assert [term.text for term in read_terms(path, ("한국어",), name)] == TERMS
    assert evaluation_terms(path, "한국어") == TERMS


def test_terms_are_read_from_columns_with_the_line_where_their_row_begins(tmp_path):
    path = write(tmp_path / "terms.csv", '\ufeffko,en\n폐렴,pneumonia\n"담낭\n염",\n결핵,\n')
    terms = [(term.row, term.column, term.text) for term in read_terms(path, ("en", "ko"), "terms.csv")]
    assert terms[::2] == [(2, "en", "pneumonia"), (3, "en", ""), (5, "en", "")]
    assert terms[1::2] == [(2, "ko", "폐렴"), (3, "ko", "담낭\n염"), (5, "ko", "결핵")]
    assert evaluation_terms(path, "ko", "en") == ["폐렴", "pneumonia", "담낭\n염", "결핵"]


def test_a_list_that_can_not_be_read_is_refused_with_its_shape(tmp_path):
    path = write(tmp_path / "terms.csv", "ko,en\n폐,lung\n")
    with pytest.raises(DataError, match=r"needs each of the columns korean once; its first line has 2 cells"):
        read_terms(path, ("korean", "en"), "t")
    with pytest.raises(DataError, match=r"none\.csv does not exist"):
        read_terms(tmp_path / "none.csv", ("ko",), "t")
    with pytest.raises(DataError, match=r"line 2: not a table"):
        read_terms(write(path, 'ko\n"폐"렴\n'), ("ko",), "t")
    with pytest.raises(DataError, match=r"line 3: not a table"):
        read_terms(write(path, 'ko\n폐\n"간\n' + "뇌\n" * 20), ("ko",), "t")
    with pytest.raises(DataError, match=r"its first line has 0 cells"):
        read_terms(write(path, ""), ("ko",), "t")


def test_bad_rows_of_a_list_are_reported_together_by_line_without_their_text(tmp_path):
    content = "ko\ten\n폐\tlung\n간\n간\tliver\tx\n" + "신장\tkidney\n" * 3000 + "뇌\0\tbrain\n"
    path = tmp_path / "terms.tsv"
    path.write_bytes(content.encode() + "심장\theart\n".encode("cp949"))
    with pytest.raises(DataError) as caught:
        read_terms(path, ("ko", "en"), "t")
    for problem in (
        "line 3: 1 cells, the header line has 2",
        "line 4: 3 cells",
        "line 3005, byte",
        f"line 3006, byte {len(content.encode())}: not UTF-8",
    ):
        assert f"terms.tsv {problem}" in str(caught.value)
    assert "liver" not in str(caught.value)


def test_a_quote_in_a_tsv_cell_is_a_character_and_swallows_no_rows(tmp_path):
    path = write(tmp_path / "terms.tsv", 'ko\ten\n"폐\tlung\n간\t"liver, left"\n\n뇌\tbrain "stem"\n')
    terms = [(term.row, term.text) for term in read_terms(path, ("ko", "en"), "t")]
    assert terms == [(2, '"폐'), (2, "lung"), (3, "간"), (3, "liver, left"), (5, "뇌"), (5, 'brain "stem"')]
