"""Tables of the lexicon: what an entry holds, and the files it is read from."""

from functools import cache, partial
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from bimed_dist.synthetic.lexicon.reading import FOLDER, Checked, Entry, Table, read_entries, read_phrases, read_record

Words = Annotated[tuple[str, ...], Field(min_length=1)]
Side = Literal["", "right", "left", "both"]


class Term(Entry):
    """Wordings in English, in Korean, and mixed as Korean doctors write notes."""

    en: Words
    ko: Words
    mixed: Words

    @model_validator(mode="before")
    @classmethod
    def mixed_is_english_by_default(cls, fields: dict[str, Any]) -> dict[str, Any]:
        return {"mixed": fields.get("en"), **fields}


class Examination(Term):
    invasive: bool = False


class Observation(Term):
    """An imaging finding."""

    group: str
    countable: bool
    regions: Words
    size_mm: tuple[int, int] | None = None
    qualities: tuple[str, ...] = ()


class Site(Entry):
    region: str
    en: str
    en_plural: str
    ko: Words
    short: dict[Side, Words]
    """Abbreviations by side; by "" if the site has no sides."""
    ko_short: dict[Side, str] = Field(default_factory=dict)
    """Korean abbreviations by side."""

    @model_validator(mode="before")
    @classmethod
    def short_forms(cls, fields: dict[str, Any]) -> dict[str, Any]:
        short = fields.get("short")
        short = {"": short} if isinstance(short, list) else short
        return {"en_plural": fields.get("en"), **fields, "short": short}

    @property
    def sides(self) -> tuple[str, ...]:
        return tuple(side for side in self.short if side)


class Drug(Entry):
    ko: str
    kind: str
    kind_ko: str
    doses: Words
    """Ascending."""
    frequencies: Words
    route: str
    adverse: Annotated[tuple[str, ...], Field(min_length=2)]
    """Symptoms it may cause."""


class Bilingual(Entry):
    """English and Korean wordings of a frequency or a route."""

    en: Words
    ko: Words


class Lab(Entry):
    ko: Words
    unit: str
    normal: tuple[float, float]
    span: tuple[float, float]
    """Lowest and highest value to draw."""
    decimals: int


class Clinic(Entry):
    en: str
    ko: str
    mixed: str
    parts: Words


class Disease(Entry):
    en: Words
    ko: Words
    short: str
    clinic: str
    sex: Literal["women", "men"] | None = None
    ages: tuple[int, int] = (41, 89)
    symptoms: Annotated[tuple[str, ...], Field(min_length=3)]
    risks: Words
    tests: Words
    treatments: Words
    complications: Words
    drugs: Words
    labs: tuple[str, ...] = ()
    """Abnormal values: `CRP+` is high, `Hb-` is low."""
    observations: tuple[str, ...] = ()
    definition_en: str
    definition_ko: str


class Groups(Checked):
    comorbidities: Words
    biopsied_tumours: Words
    disease_signs: Words
    scans: dict[str, str]
    incidental: dict[str, float]
    airspace: Words
    abdominal: Words
    ct_symptoms: Words


def _terms(name: str, kind: type[Entry] = Term) -> Table[Any]:
    return Table(partial(read_entries, FOLDER / name, kind))


def _read_observations() -> dict[str, Observation]:
    places = {*SITES, *(site.region for site in SITES.values())}
    return read_entries(FOLDER / "observations.yaml", Observation, {"regions": places, "qualities": QUALITIES})


def _read_drugs() -> dict[str, Drug]:
    references = {"frequencies": FREQUENCIES, "route": ROUTES, "adverse": SYMPTOMS}
    return read_entries(FOLDER / "drugs.yaml", Drug, references)


def _read_diseases() -> dict[str, Disease]:
    references = {
        **{"clinic": CLINICS, "symptoms": SYMPTOMS, "risks": RISKS, "tests": TESTS, "treatments": TREATMENTS},
        **{"complications": COMPLICATIONS, "drugs": DRUGS, "observations": OBSERVATIONS},
        "labs": {lab + sign for lab in LABS for sign in "+-"},
    }
    return read_entries(FOLDER / "diseases.yaml", Disease, references)


@cache
def groups() -> Groups:
    """Return the lists of entries that the generator draws from."""
    references = {
        **{"comorbidities": DISEASES, "biopsied_tumours": DISEASES, "disease_signs": OBSERVATIONS, "scans": TESTS},
        **{"airspace": OBSERVATIONS, "abdominal": OBSERVATIONS, "ct_symptoms": SYMPTOMS},
    }
    return read_record(FOLDER / "groups.yaml", Groups, references)


SYMPTOMS: Table[Term] = _terms("symptoms.yaml")
TESTS: Table[Examination] = _terms("tests.yaml", Examination)
TREATMENTS: Table[Term] = _terms("treatments.yaml")
RISKS: Table[Term] = _terms("risks.yaml")
COMPLICATIONS: Table[Term] = _terms("complications.yaml")
FREQUENCIES: Table[Bilingual] = _terms("frequencies.yaml", Bilingual)
ROUTES: Table[Bilingual] = _terms("routes.yaml", Bilingual)
LABS: Table[Lab] = _terms("labs.yaml", Lab)
CLINICS: Table[Clinic] = _terms("clinics.yaml", Clinic)
SITES: Table[Site] = _terms("sites.yaml", Site)
QUALITIES: Table[str] = Table(partial(read_phrases, FOLDER / "qualities.yaml"))
OBSERVATIONS: Table[Observation] = Table(_read_observations)
DRUGS: Table[Drug] = Table(_read_drugs)
DISEASES: Table[Disease] = Table(_read_diseases)

ARTICLES, LEAFLETS, NOTES, CT_REPORTS, ENTITIES, SENTENCES = (
    Table(partial(read_phrases, FOLDER / f"{name}.yaml"))
    for name in ("articles", "leaflets", "notes", "ct_reports", "entities", "sentences")
)


@cache
def sites_of(observation: str) -> tuple[Site, ...]:
    """Return the sites at which an observation can be: those of its regions, and those that it names."""
    regions = OBSERVATIONS[observation].regions
    return tuple(site for site in SITES.values() if site.region in regions or site.key in regions)
