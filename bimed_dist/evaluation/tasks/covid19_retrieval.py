"""258 aligned Korean and English sentences of public-health guidelines: each asks for its translation, untrained."""

from bimed_dist.errors import DataError
from bimed_dist.evaluation.task import Example, Task, TaskData, TaskInputs
from bimed_dist.files.lines import read_lines


def load(inputs: TaskInputs) -> TaskData:
    """Reads covid19_cdc.ko.txt and covid19_cdc.en.txt, the same sentence on the same line."""
    korean, english = (read_lines(inputs.folder / f"covid19_cdc.{language}.txt") for language in ("ko", "en"))
    if len(korean) != len(english):
        raise DataError(f"{inputs.folder}: {len(korean)} Korean lines and {len(english)} English ones; not aligned")
    pairs = enumerate(zip(korean, english, strict=True), start=1)
    examples = [
        Example(f"line {number}", (ko.strip(), en.strip()), None, document=f"line {number}")
        for number, (ko, en) in pairs
    ]
    return TaskData({"test": tuple(examples)}, ("Korean", "English"))


TASK = Task(
    kind="retrieval",
    title="Guidelines on COVID-19: finding the translation of a sentence",
    language="any",
    citation="Lim et al. 2020, naver/covid19-nmt; guidelines of the Korean CDC",
    licence="KOGL type 1",
    labels_from="the published alignment",
    labels_by="people",
    source="path",
    load=load,
    published={
        "covid19_cdc.ko.txt": "9fe2dd67bd480943",
        "covid19_cdc.en.txt": "3c9e5b6152ee8c45",
    },
)
