"""Tasks that train nothing: masked words and next sentences of held-out documents, and retrieval of translations.

Every model gets the same windows of text and predicts the same words, whatever its vocabulary.
"""

from dataclasses import replace

from bimed_dist.errors import DataError
from bimed_dist.evaluation.readers.held_out import read_successors, read_term_windows, read_windows
from bimed_dist.evaluation.task import Example, Task, TaskData, TaskInputs
from bimed_dist.files.lines import read_lines

MLM = Task(
    name="mlm",
    kind="mlm",
    title="Masked-LM evaluation (held-out documents)",
    language="any",
    citation="Devlin et al. 2019 (masking); Kim et al. 2022, KM-BERT (repeated masks)",
    licence="that of the corpus",
    labels_from="the text itself",
    labels_by="people",
    source="corpus",
    load=read_windows,
)
MLM_TERMS = replace(
    MLM,
    name="mlm_terms",
    title="Masked-LM evaluation of medical terms (held-out documents)",
    citation="Devlin et al. 2019 (masking); the term list is named in the recipe",
    load=read_term_windows,
    needs="terms",
)
NSP = Task(
    name="nsp",
    kind="nsp",
    title="Next-sentence evaluation (held-out documents)",
    language="any",
    citation="Devlin et al. 2019; Kim et al. 2022, KM-BERT (accuracy on next and on random pairs)",
    licence="that of the corpus",
    labels_from="the order of sentences",
    labels_by="people",
    source="corpus",
    load=read_successors,
)


def load_covid19(inputs: TaskInputs) -> TaskData:
    """Read covid19_cdc.ko.txt and covid19_cdc.en.txt, aligned line by line."""
    korean, english = (read_lines(inputs.folder / f"covid19_cdc.{language}.txt") for language in ("ko", "en"))
    if len(korean) != len(english):
        raise DataError(f"{inputs.folder}: {len(korean)} Korean lines and {len(english)} English lines; not aligned")
    pairs = enumerate(zip(korean, english, strict=True), start=1)
    examples = [
        Example(f"line {number}", (ko.strip(), en.strip()), None, document=f"line {number}")
        for number, (ko, en) in pairs
    ]
    return TaskData({"test": tuple(examples)}, ("Korean", "English"))


# 258 sentences of public-health guidelines.
COVID19_RETRIEVAL = Task(
    name="covid19_retrieval",
    kind="retrieval",
    title="COVID-19 guidelines: retrieval of translations",
    language="any",
    citation="Lim et al. 2020, naver/covid19-nmt; guidelines of the Korean CDC",
    licence="KOGL type 1",
    labels_from="the published alignment",
    labels_by="people",
    source="path",
    load=load_covid19,
    published={
        "covid19_cdc.ko.txt": "9fe2dd67bd480943",
        "covid19_cdc.en.txt": "3c9e5b6152ee8c45",
    },
)
