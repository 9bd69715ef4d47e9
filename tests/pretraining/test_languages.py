"""The language that a source declares for Latin script is kept through every stage."""

from bimed_dist.shards.reading import ShardSet
from bimed_dist.synthetic.documents import generate_documents


def test_validation_and_model_card_use_the_language_that_a_source_declares(prepare, tmp_path):
    # The text may be English: the letters don't distinguish it from Dutch.
    for language in ("ko", "en"):
        documents = generate_documents(3, 80, (language,), "s")
        text = "\n\n".join(" ".join(document.paragraphs).replace("\n", " ") for document in documents)
        (tmp_path / f"{language}.txt").write_text(text, encoding="utf-8")
    source = {"kind": "text", "document": "paragraph", "latin_language": "nl"}
    sources = [{**source, "name": language, "path": f"{language}.txt"} for language in ("ko", "en")]
    job = prepare(tmp_path, corpus={"text": {"sources": sources, "held_out_share": 0.3}})
    languages = ShardSet.open(job.work / "shards" / "tokens", "train").languages
    assert {"ko", "nl"} <= set(languages) <= {"ko", "nl", "mixed"}

    job.run_here("steps=3")
    last = job.metrics("validation")[-1]
    assert {"ko", "nl"} <= last["by_language"].keys() <= {"ko", "nl", "mixed"}
    assert "\nlanguage: [ko, nl]\n" in (job.folder() / "export" / "README.md").read_text(encoding="utf-8")
