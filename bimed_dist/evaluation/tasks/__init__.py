"""One file per benchmark, each with a `TASK`; this is the list of them by name."""

from bimed_dist.evaluation.task import Task
from bimed_dist.evaluation.tasks import (
    bc5cdr,
    ctclip,
    klue_ner,
    korsts,
    mlm,
    nsp,
    stsb_en,
    synthetic_ct,
    synthetic_ner,
    synthetic_sts_en,
    synthetic_sts_ko,
    synthetic_sts_mixed,
)

TASKS: dict[str, Task] = {
    module.__name__.rpartition(".")[2]: module.TASK
    for module in (
        bc5cdr,
        ctclip,
        klue_ner,
        korsts,
        mlm,
        nsp,
        stsb_en,
        synthetic_ct,
        synthetic_ner,
        synthetic_sts_en,
        synthetic_sts_ko,
        synthetic_sts_mixed,
    )
}
