"""A finished work folder with made-up numbers: real manifests, a failed trial, an n/a score, Korean, hostile text."""

import csv
import json
import math
from pathlib import Path
from typing import Any

from bimed_dist.evaluation.results_format import SCHEMA, ComparisonRow, Results, ScoreRow, TaskEntry
from bimed_dist.manifest import write_manifest
from bimed_dist.recipe.loading import parse_recipe
from bimed_dist.recipe.recipe import Recipe

SCRIPT = "<script>alert(1)</script>"
ATTRIBUTE = '"onerror="alert(2)'
MODELS = {
    "ko-mini": {"folder": "pretraining/ko-mini", "adapted_from": None},
    "bi-ko-mini": {"folder": "pretraining/bi-ko-mini", "adapted_from": "ko-mini"},
    "en-mini": {"folder": "pretraining/en-mini", "adapted_from": None},
    "bi-en-mini": {"folder": "pretraining/bi-en-mini", "adapted_from": "en-mini"},
}
SEEDS = [1, 2, 3]
# task -> (kind, title, language, metric, {split: {model: mean}})
TASKS: dict[str, tuple[str, str, str, str, dict[str, dict[str, float]]]] = {
    "korsts": ("sts", "한국어 문장 유사도 (KorSTS)", "ko", "pearson",
               {"test": {"ko-mini": 0.6512, "bi-ko-mini": 0.6431, "en-mini": 0.1904, "bi-en-mini": 0.6127}}),
    "stsb": ("sts", "STS-B: English sentence similarity", "en", "pearson",
             {"test": {"ko-mini": 0.2203, "bi-ko-mini": 0.5871, "en-mini": 0.7012, "bi-en-mini": 0.6871}}),
    "ct": ("multilabel", f"흉부 CT 판독문 {SCRIPT}", "mixed", "macro_f1",
           {"test": {"ko-mini": 0.8902, "bi-ko-mini": 0.9460, "en-mini": 0.8123, "bi-en-mini": 0.9312},
            "external": {"ko-mini": 0.8495, "bi-ko-mini": 0.9288, "en-mini": 0.7711, "bi-en-mini": 0.9011}}),
    "ner": ("ner", "의료 개체명 인식 (NER)", "ko", "f1",
            {"test": {"ko-mini": 0.8470, "bi-ko-mini": 0.8660, "en-mini": 0.4210}}),
    "mlm": ("mlm", "Masked words of held-out documents", "any", "bits_per_character",
            {"test": {"ko-mini": 2.911, "bi-ko-mini": 2.104, "en-mini": 3.420, "bi-en-mini": 2.215},
             "ko": {"ko-mini": 2.011, "bi-ko-mini": 2.204, "en-mini": 4.420, "bi-en-mini": 2.315},
             "en": {"ko-mini": 3.911, "bi-ko-mini": 2.004, "en-mini": 1.920, "bi-en-mini": 2.115}}),
    "nsp": ("nsp", "Next or random sentence", "any", "accuracy",
            {"test": {"ko-mini": 0.697, "bi-ko-mini": 0.955, "bi-en-mini": 0.949}}),
}  # fmt: skip
GRIDS = {
    **{task: {"learning_rates": [2e-5, 5e-5], "epochs": [2, 4]} for task in ("korsts", "stsb", "ct")},
    "ner": {"learning_rates": [5e-5], "epochs": [4]},
}
CORPUS_SOURCES = {"textbooks": 1834, "reports": 2600}


def recipe(**changes: Any) -> Recipe:
    run = {"shards": "bilingual", "steps": 2000, "global_batch": 64, "micro_batch": 32}
    tree = {
        "name": "demo",
        "seed": 7,
        "data": "/somewhere/private",
        "corpus": {
            "bilingual": {"sources": [{"kind": "synthetic", "name": n, "documents": 10} for n in CORPUS_SOURCES]}
        },
        "vocabulary": {"bilingual": {"corpus": "bilingual", "size": 45_000}},
        "shards": {
            "korean": {"corpus": "bilingual", "tokenizer": "vocabulary/bilingual"},
            "bilingual": {"corpus": "bilingual", "tokenizer": "vocabulary/bilingual"},
        },
        "model": {
            "ko-mini": {
                "architecture": {
                    "num_hidden_layers": 2,
                    "hidden_size": 64,
                    "num_attention_heads": 2,
                    "intermediate_size": 128,
                },
                "tokenizer": "vocabulary/bilingual",
            },
            "bi-ko-mini": {"foundation": "pretraining/ko-mini", "tokenizer": "vocabulary/bilingual"},
            "bi-en-mini": {"foundation": "pretraining/en-mini", "tokenizer": "vocabulary/bilingual"},
        },
        "pretraining": {
            "ko-mini": {"model": "ko-mini", **run, "shards": "korean"},
            "en-mini": {"model": "ko-mini", **run},
            "bi-ko-mini": {"model": "bi-ko-mini", **run},
            "bi-en-mini": {"model": "bi-en-mini", **run},
        },
        "evaluation": {
            "models": {k: {a: b for a, b in m.items() if b is not None} for k, m in MODELS.items()},
            "tasks": {name: {"task": name} for name in TASKS},
            "seeds": SEEDS,
        },
        "report": {"title": f"이중언어 의료 BERT 보고서 {ATTRIBUTE} {SCRIPT}"},
    }
    return parse_recipe({**tree, **changes}, where="test")


def results() -> Results:
    scores = [
        score
        for task, (_, _, _, metric, splits) in TASKS.items()
        for split, means in splits.items()
        for model, mean in means.items()
        for score in _scores(task, model, split, metric, mean)
    ]
    comparisons = [
        _comparison(task, split, metric, means, model)
        for task, (_, _, _, metric, splits) in TASKS.items()
        for split, means in splits.items()
        for model, entry in MODELS.items()
        if entry["adapted_from"] in means and model in means
    ]
    return {
        "schema": SCHEMA,
        "models": {
            label: {
                **model,
                "digest": "d" * 64,
                "parameters": 4_400_000,
                "vocabulary": 45_000 if "bi" in label else 8_000,
            }
            for label, model in MODELS.items()
        },
        "tasks": {task: _task(task) for task in TASKS},
        "grid": {"learning_rates": [2e-5, 5e-5], "epochs": [2, 4], "seeds": SEEDS, "batch_size": 32},
        "statistics": {"resamples": 10_000, "ranked_resamples": 1_000, "confidence": 0.95},
        "scores": scores,
        "baselines": [],
        "comparisons": comparisons,
        "failures": [failure("ner", "bi-en-mini", "lr=5e-05,epochs=4,seed=2", f"out of memory {SCRIPT}")],
    }


def results_with_rules() -> Results:
    """Results with the keyword rules on ct/test and metrics of the label `cancer` of ko-mini."""
    fake = results()
    (row,) = [
        row
        for row in fake["scores"]
        if (row["task"], row["model"], row["split"], row["metric"]) == ("ct", "ko-mini", "test", "macro_f1")
    ]
    rules = {**row, "model": "rules", "values": [0.99], "mean": 0.99, "sd": None, "chosen": None, "interval": None}
    fake["baselines"] = [rules, {**rules, "metric": "f1:cancer", "main": False, "mean": 0.7}]
    of_label = {**row, "main": False, "sd": None, "interval": None}
    fake["scores"] += [
        {**of_label, "metric": "f1:cancer", "mean": 0.6},
        {**of_label, "metric": "auroc:cancer", "mean": 0.8},
    ]
    return fake


def failure(task: str, model: str, trial: str, error: str, split: str | None = None) -> dict[str, Any]:
    return {"task": task, "model": model, "trial": trial, "error": error, "split": split}


def _scores(task: str, model: str, split: str, metric: str, mean: float) -> list[ScoreRow]:
    common = {
        "task": task,
        "model": model,
        "split": split,
        "values": [mean - 0.01, mean, mean + 0.01],
        "sd": 0.01,
        "n": 1379,
        "chosen": {"learning_rate": 5e-5, "epochs": 4} if task in GRIDS else None,
    }
    main = {**common, "metric": metric, "main": True, "mean": mean, "interval": [mean - 0.021, mean + 0.019]}
    kind = TASKS[task][0]
    more = {"sts": ["spearman"], "multilabel": ["micro_f1", "hamming_loss"], "mlm": ["accuracy"]}.get(kind, [])
    return [main] + [{**common, "metric": m, "main": False, "mean": mean * 0.97, "interval": None} for m in more]


def _comparison(task: str, split: str, metric: str, means: dict[str, float], model: str) -> ComparisonRow:
    foundation = MODELS[model]["adapted_from"]
    difference = means[model] - means[foundation]
    p = math.exp(-abs(difference) * 100)
    return {
        "task": task,
        "split": split,
        "metric": metric,
        "model": model,
        "foundation": foundation,
        "difference": difference,
        "interval": [difference - 0.02, difference + 0.02],
        "p": p,
        "units": 1379,
        "p_holm": min(1.0, 3 * p),
        "williams": None,
        "effect_sizes": {},
    }


def _task(task: str) -> TaskEntry:
    kind, title, language, metric, splits = TASKS[task]
    languages = [split for split in splits if len(split) == 2]
    rows = {"train": 1200, "dev": 300, "test": 1379}
    return {
        "task": task,
        "kind": kind,
        "title": title,
        "language": language,
        "metric": metric,
        "citation": "Jo et al. 2025, https://doi.org/10.1186/s12911-025-03262-7",
        "licence": "CC BY-SA 4.0",
        "labels_from": "keywords in the report text" if task == "ct" else "crowd grades",
        "labels_by": "rules" if task == "ct" else "people",
        "unit": "word",
        "digest": "d" * 64,
        "rows": rows,
        "read": rows,
        "dropped": {"duplicates": 12, "leaked": 3} if task == "ct" else {"duplicates": 0, "leaked": 0},
        "kept_of": {"train": 5749} if task == "korsts" else {},
        "grid": GRIDS.get(task),
        "folds": None,
        "variant": {},
        "slices": dict.fromkeys(languages, "language"),
        "split_languages": {language: language for language in languages},
        "not_applicable": {"en-mini": "the checkpoint has no NSP head"} if task == "nsp" else {},
        "next_probabilities": None,
        "notes": ["split 80/10/10 by hash"] if task == "ner" else [],
    }


def build(work: Path, built: Recipe, evaluated: Results | None = None, metrics_of_first: str = "") -> None:
    """Write every stage of the recipe below `work`, each with its manifest."""
    for name in built.corpus:
        _stage(work, "corpus", name, {"train.jsonl": "{}\n"}, _corpus_counts())
    for name in built.vocabulary:
        rows = [
            ("Korean subwords", 24_497),
            ("English subwords", 15_212),
            ("Digits, symbols, other", 5_286),
            ("Special tokens", 5),
        ]
        composition = {"size": 45_000, "rows": [{"script": i, "tokens": n, "share": n / 45_000} for i, n in rows]}
        files = {"composition.json": json.dumps(composition), "fertility.json": json.dumps(_fertility(name))}
        _stage(work, "vocabulary", name, files, {"tokens": 45_000})
    for name in built.shards:
        _stage(work, "shards", name, {}, _shard_counts("ko" if name == "korean" else None))
    for name, settings in built.model.items():
        counts = {
            "rows": 45_000,
            "copied": 6_204,
            "mean": 31_811,
            "normal": 6_985,
            "random": 0,
            "parameters": 4_400_000,
        }
        if settings.architecture is not None:
            counts = {"rows": 45_000, "copied": 0, "mean": 0, "normal": 0, "random": 45_000, "parameters": 4_400_000}
        _stage(work, "model", name, {"origins.csv": "id\n"}, counts, settings.model_dump(mode="json"))
    for i, name in enumerate(built.pretraining):
        settings = built.pretraining[name].model_dump(mode="json")
        content = metrics_of_first if metrics_of_first and i == 0 else metrics(i)
        counts = {"steps": 2000, "epochs": 1.52, "engine": "zero2", "processes": 2}
        _stage(work, "pretraining", name, {"metrics.jsonl": content}, counts, settings)
    if built.evaluation is not None:
        content = json.dumps(results() if evaluated is None else evaluated, ensure_ascii=False)
        _stage(work, "evaluation", "", {"results.json": content}, {"trials": 96})


def explain(work: Path, name: str, korean: dict[str, float]) -> None:
    """Write a finished attribution of the chest CT task. korean: share of attribution on Korean words, by model."""
    areas = dict.fromkeys(("deletion", "random_deletion", "insertion", "random_insertion"), 0.5)
    models = {
        model: {
            "explanations": 6,
            "convergence_delta": 0.01,
            **{
                method: {
                    **areas,
                    "random_weights": None,
                    "weight_by_language": {"ko": share, "en": 1 - share, "mixed": 0.0, "other": 0.0},
                }
                for method in ("integrated_gradients", "gradient_x_input")
            },
        }
        for model, share in korean.items()
    }
    summary = {"schema": 1, "task": "ct", "models": models, "difference_from_evaluation": dict.fromkeys(models, 0.0)}
    _stage(work, "attribution", name, {"summary.json": json.dumps(summary)}, {"rows": 3})


def read_page(work: Path) -> str:
    return (work / "report" / "index.html").read_text(encoding="utf-8")


def read_table(work: Path, name: str) -> list[dict[str, str]]:
    with (work / "report" / "tables" / f"{name}.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def _stage(
    work: Path,
    stage: str,
    name: str,
    files: dict[str, str],
    counts: dict[str, Any],
    settings: dict[str, Any] | None = None,
) -> None:
    folder = work / stage / name
    folder.mkdir(parents=True)
    for file, content in files.items():
        (folder / file).write_text(content, encoding="utf-8")
    write_manifest(
        folder,
        stage=stage,
        name=folder.name,
        settings={"seed": 7, **(settings or {})},
        inputs={},
        counts=counts,
        files=[folder / file for file in files],
        seconds=12.5 if stage != "pretraining" else 4211.0,
    )


def metrics(run: int) -> str:
    """Return metrics.jsonl of one run; step 1000 was logged twice, before and after a resumption."""
    lines = []
    for step in range(0, 2001, 20):
        left = math.exp(-step / (500 + 100 * run))
        values = {
            "mlm_loss": 3.1 + 5 * left + 0.2 * run,
            "nsp_loss": 0.35 + 0.34 * left,
            "mlm_accuracy": 0.45 * (1 - left),
            "nsp_accuracy": 0.5 + 0.4 * (1 - left),
        }
        noisy = {key: value + 0.05 * math.sin(step * (run + 3)) for key, value in values.items()}
        lines.append({"kind": "train", "step": step, "loss": noisy["mlm_loss"] + noisy["nsp_loss"], **noisy})
        if step % 200 == 0:
            lines.append({"kind": "validation", "step": step, **values, "by_language": {}})
        if step == 1000:
            lines.insert(0, {"kind": "validation", "step": step, **dict.fromkeys(values, 99.0), "by_language": {}})
    return "".join(json.dumps(line) + "\n" for line in lines)


def _corpus_counts() -> dict[str, Any]:
    return {
        "documents": 4434,
        "sentences": 61_209,
        "characters": 3_912_338,
        "held_out_documents": 222,
        "held_out_sentences": 3_018,
        "duplicates_dropped": 41,
        "nfc_changed": 3,
        "cleaned": {"whitespace": 1_204, "nfc": 3, "full_width": 0},
        "rejected": {"repeated_words": 6},
        "identities": {"phone": 2},
        "overlaps": {"korsts": 7},
        "encodings": {"utf-8": 11, "cp949": 1},
        "minority_share": 0.081,
        "switches_per_100_words": 11.2,
        "code_mixing": {
            "minority_share": {
                "documents": {"0": 4_000, "<5 %": 34, "<10 %": 0, "<20 %": 100, ">=20 %": 300},
                "sentences": {"0": 60_209, "<5 %": 0, "<10 %": 0, "<20 %": 0, ">=20 %": 1_000},
            }
        },
        "empty_dropped": 0,
        "by_source": {
            n: {"documents": d, "sentences": 14 * d, "characters": 900 * d} for n, d in CORPUS_SOURCES.items()
        },
        "by_language": {
            language: {"sentences": n, "characters": 60 * n}
            for language, n in {"ko": 31_000, "en": 18_000, "mixed": 12_209}.items()
        },
    }


def _fertility(name: str) -> dict[str, Any]:
    own = {"ko": _fit(1.83), "en": _fit(1.31)}
    other = {"ko": _fit(4.06, unknown=0.021), "en": _fit(1.22)}
    split = [{"word": f"이부프로펜{i}", "count": 900 - i, "tokens": ["이부", "##프로펜", f"##{i}"]} for i in range(12)]
    return {
        "tokenizers": {
            label: {"size": 45_000, "all": fits["ko"], "by_language": fits, "by_source": {"textbooks": fits["ko"]}}
            for label, fits in ((f"vocabulary/{name}", own), ("models/m-bert", other))
        },
        "still_split": {"ko": split, "en": [{"word": "ibuprofen", "count": 31, "tokens": ["ibu", "##profen"]}]},
        "examples": [
            {"text": "전신경화증", "tokens": {f"vocabulary/{name}": ["전신", "##경화증"], "models/m-bert": ["[UNK]"]}}
        ],
    }


def _fit(tokens_per_word: float, unknown: float = 0.0) -> dict[str, Any]:
    return {
        "words": 9_000,
        "tokens_per_word": tokens_per_word,
        "whole_share": 0.652,
        "unknown_share": unknown,
        "bytes_per_token": 4.25,
    }


def _shard_counts(only: str | None) -> dict[str, Any]:
    sentences = {"ko": 31_000, "en": 18_000, "mixed": 12_209} if only is None else {only: 31_000}
    return {
        "sentences": sum(sentences.values()),
        "tokens": 24 * sum(sentences.values()),
        "documents": 4212,
        "unknown_share": 0.00021,
        "vocabulary_size": 45_000,
        "by_language": {language: {"sentences": n, "tokens": 24 * n} for language, n in sentences.items()},
        "by_source": {},
    }
