"""How numbers, languages and metrics are written in the report."""

from bimed_dist.evaluation.metrics.definitions import find_metric

DASH = "–"
_LANGUAGES = {
    "ko": "Korean",
    "en": "English",
    "nl": "Dutch",
    "ro": "Romanian",
    "es": "Spanish",
    "any": "all languages",
}


def decimal(value: float) -> str:
    """Return the number with three decimals; with one from 100 on."""
    return f"{value:,.{1 if abs(value) >= 100 else 3}f}".replace("-", "−")


def signed(value: float) -> str:
    return ("+" if value > 0 else "") + decimal(value)


def percent(value: float, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f} %"


def p_value(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def plural(number: int, noun: str) -> str:
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{ending}"


def listed(items: list[str]) -> str:
    """Return such as `a, b and c`."""
    return " and ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))


def capitalized(words: str) -> str:
    return words[:1].upper() + words[1:]


def language_name(code: str) -> str:
    return _LANGUAGES.get(code, code)


def metric_title(metric: str) -> str:
    return find_metric(metric).title
