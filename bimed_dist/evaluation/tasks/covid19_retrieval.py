"""258 aligned Korean and English sentences of public-health guidelines: zero-shot retrieval of the translation."""

from bimed_dist.errors import DataError
from bimed_dist.evaluation.task import Example, Task, TaskData, TaskInputs
from bimed_dist.files.lines import read_lines


def load(inputs: TaskInputs) -> TaskData:
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
    load=load,
    published={
        "covid19_cdc.ko.txt": "9fe2dd67bd480943",
        "covid19_cdc.en.txt": "3c9e5b6152ee8c45",
    },
)
