"""Settings of a pre-training run: rows, objectives, optimizer and schedule, and when to look, save and stop."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from bimed_dist.recipe.base import Above0, Below1, Name, NotNegative, Positive, Settings, Share

Pairing = Literal["segments", "sentences"]
Tracker = Literal["tensorboard", "wandb", "mlflow", "trackio"]
SentenceObjective = Literal["next_sentence", "sentence_order", "none"]


class Mixture(Settings):
    """Shares of an epoch's rows by language or source (of their segment A). Exactly one of the two ways is given."""

    by: Literal["language", "source"]
    temperature: Annotated[float, Field(ge=1)] | None = None
    """Shares are in proportion to n^(1/temperature) of the n rows: 1 changes nothing, more evens out."""
    quotas: dict[str, Share] | None = None
    """Shares themselves, for every language or source that there is."""

    @model_validator(mode="after")
    def one_way(self) -> "Mixture":
        if (self.temperature is None) == (self.quotas is None):
            raise ValueError("give either temperature or quotas")
        total = sum((self.quotas or {"": 1.0}).values())
        if abs(total - 1) > 1e-6:
            raise ValueError(f"quotas add up to {total:g}, not to 1")
        return self


class Replay(Settings):
    """General text between the other rows, against forgetting."""

    shards: Name
    share: Annotated[float, Field(gt=0, lt=1)]
    """Of all rows."""


class LongPhase(Settings):
    """The last updates, with longer rows (BERT: 128 tokens, then 512 for the last tenth)."""

    steps: Positive
    """How many of the run's updates."""
    max_length: Annotated[int, Field(ge=8)]
    global_batch: Positive
    micro_batch: Positive


@dataclass(frozen=True)
class Phase:
    """Updates with rows of the same kind."""

    place: str
    """How the names of its settings begin: nothing, or `long_phase.`."""
    first_step: int
    end: int
    max_length: int
    global_batch: int
    micro_batch: int


class PretrainingSettings(Settings):
    model: Name
    shards: Name
    steps: Positive
    """Optimizer updates in all; with `hours` at most."""
    hours: Above0 | None = None
    """Time to train in, over all launches: `wsd` begins its decay so as to end in time. Not with long_phase."""
    global_batch: Positive
    """Rows (sentence pairs) per update over all ranks."""
    micro_batch: Positive
    """Rows that one rank feeds forward at once, at most."""
    max_length: Annotated[int, Field(ge=8)] = 128
    """Tokens per row, [CLS] and both [SEP] included."""
    long_phase: LongPhase | None = None
    mixture: Mixture | None = None
    replay: Replay | None = None
    pairing: Pairing = "segments"
    """`segments`: fill up to max_length (BERT). `sentences`: one sentence and its successor (KM-BERT)."""
    sentence_objective: SentenceObjective = "next_sentence"
    """What is learned of pairs beside masked words: whether B follows A or is of another document (BERT), whether A and
    B stand in the order of the text (ALBERT; Lan et al. 2020), or nothing: rows are then one segment (RoBERTa)."""
    mask_rate: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """Share of the tokens (or words) that are to be predicted; special tokens and [UNK] never are."""
    mask_unit: Literal["token", "word"] = "token"
    """`word`: all pieces of a word together; in Korean an eojeol up to punctuation."""
    mask_token_share: Share = 0.8
    """Of those to be predicted, the share that [MASK] stands for."""
    random_token_share: Share = 0.1
    """Of those to be predicted, the share that another token stands for, drawn evenly; the rest stays as it is."""
    optimizer: Literal["adamw", "lamb"] = "adamw"
    """`lamb` is for batches of thousands of rows; not with ZeRO."""
    learning_rate: Above0 = 1e-4
    warmup_steps: NotNegative = 0
    schedule: Literal["linear", "cosine", "constant", "wsd"] = "linear"
    """After the warm-up: down to 0 in a line or half a cosine, constant, or constant until the last `decay_steps`."""
    decay_steps: Positive | None = None
    """Of `wsd` only."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    betas: tuple[Below1, Below1] = (0.9, 0.999)
    epsilon: Above0 = 1e-6
    clip_norm: Above0 = 1.0
    dropout: Below1 | None = None
    """Overrides the model's hidden and attention dropout; none keeps the model's own."""
    attention_dropout: Below1 | None = None
    """Overrides attention dropout alone; 0 lets GPUs use torch's variable-length attention."""
    precision: Literal["fp32", "bf16"] = "fp32"
    activation_checkpointing: bool = False
    """Compute activations again in the backward pass: less memory, a third slower, the same gradients."""
    compile: Literal["layers"] | None = None
    """Let torch compile the encoder layers when a launch starts. Meant for GPUs; on CPUs it was slower."""
    skipped_steps: NotNegative = 0
    """Updates at most that may be left out because a loss or gradient is not finite; one more stops the run."""
    log_every: Positive = 10
    validate_every: Positive = 500
    validation_rows: Positive = 512
    checkpoint_every: Positive = 500
    keep_checkpoints: Positive = 2
    """The newest so many; the one with the lowest held-out loss is kept beside them."""
    time_budget: Above0 | None = None
    """Hours of one launch, after which it commits a checkpoint and ends with exit code 75, as on SIGTERM."""
    reproducible: Literal["across_world_sizes"] | None = None
    """Weights are the same to the last bit on 1, 2, 4, ... processes with as many threads each, on the same kind of
    device (docs/reliability.md). Not with ZeRO."""
    lost_after: Positive = 120
    """Seconds without a sign of life from a process after which the whole job ends."""
    trackers: tuple[Tracker, ...] = ("tensorboard",)
    """Who gets the numbers of metrics.jsonl beside it; all but TensorBoard need the extra `trackers`."""
    profile_steps: NotNegative = 0
    """So many of the first updates of a launch are traced by torch's profiler into `profile/`."""
    accelerate_config: str | None = None
    """File of ds_configs/accelerate that `pipeline.py` launches this run with; without it one process."""

    @model_validator(mode="after")
    def numbers_fit(self) -> "PretrainingSettings":
        problems = []
        if self.mask_token_share + self.random_token_share > 1:
            problems.append("mask_token_share + random_token_share is above 1")
        if self.warmup_steps >= self.steps:
            problems.append(f"warmup_steps={self.warmup_steps} leaves nothing of steps={self.steps}")
        if (self.schedule == "wsd") != (self.decay_steps is not None):
            problems.append("schedule=wsd needs decay_steps, and no other schedule takes them")
        elif self.warmup_steps + (self.decay_steps or 0) > self.steps:
            problems.append(f"warmup_steps and decay_steps are more than steps={self.steps}")
        if self.long_phase is not None and self.long_phase.steps >= self.steps:
            problems.append(f"long_phase.steps={self.long_phase.steps} leaves nothing of steps={self.steps}")
        if self.hours is not None and (self.schedule != "wsd" or self.long_phase is not None):
            problems.append("hours needs schedule=wsd, whose decay can begin at any time, and no long_phase")
        if self.compile and self.reproducible:
            problems.append(
                f"reproducible={self.reproducible} takes no compile={self.compile}: kernels may differ then"
            )
        for phase in self.phases if self.reproducible else ():
            if phase.global_batch % phase.micro_batch:
                problems.append(
                    f"reproducible={self.reproducible} needs micro-batches of the same size: {phase.place}global_batch="
                    f"{phase.global_batch} is not a multiple of {phase.place}micro_batch={phase.micro_batch}"
                )
        if self.replay is not None and self.replay.shards == self.shards:
            problems.append(f"replay.shards={self.shards} are the run's own shards")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def phases(self) -> tuple[Phase, ...]:
        """One or two, one behind the other from step 0 to `steps`."""
        long = self.long_phase
        border = self.steps - (long.steps if long else 0)
        phases = (Phase("", 0, border, self.max_length, self.global_batch, self.micro_batch),)
        if long is None:
            return phases
        return (*phases, Phase("long_phase.", border, self.steps, long.max_length, long.global_batch, long.micro_batch))

    @property
    def all_shards(self) -> list[str]:
        """The run's own and those that are replayed."""
        return [self.shards, *([self.replay.shards] if self.replay else [])]

    def phase_at(self, step: int) -> Phase:
        """The phase of update `step`, counted from 0."""
        return next((phase for phase in self.phases if step < phase.end), self.phases[-1])

    def rows_before(self, step: int) -> int:
        """Rows of all updates before `step`."""
        return sum((min(step, p.end) - p.first_step) * p.global_batch for p in self.phases if step > p.first_step)
