"""Settings of a pre-training run: rows, objectives, optimizer, schedule; when to validate, save and stop."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from bimed_dist.recipe.base import Above0, Below1, Name, NotNegative, Positive, Settings, Share

Pairing = Literal["segments", "sentences"]
Tracker = Literal["tensorboard", "wandb", "mlflow", "trackio"]
SentenceObjective = Literal["next_sentence", "sentence_order", "none"]


class Mixture(Settings):
    """Shares of an epoch's rows by language or source of their segment A, by temperature or by quotas."""

    by: Literal["language", "source"]
    """What the shares are of."""
    temperature: Annotated[float, Field(ge=1)] | None = None
    """Shares proportional to n^(1/temperature), n being the number of rows: 1 changes nothing, higher values even out.
    `null`: quotas are given."""
    quotas: dict[str, Share] | None = None
    """The share of every language or source; they add up to 1. `null`: temperature is given."""

    @model_validator(mode="after")
    def _check_shares(self) -> "Mixture":
        if (self.temperature is None) == (self.quotas is None):
            raise ValueError("give either temperature or quotas")
        total = sum((self.quotas or {"": 1.0}).values())
        if abs(total - 1) > 1e-6:
            raise ValueError(f"quotas add up to {total:g}, not to 1")
        return self


class Replay(Settings):
    """Rows of general text mixed in, against forgetting."""

    shards: Name
    """Entry of `shards` with the general text."""
    share: Annotated[float, Field(gt=0, lt=1)]
    """Share of all rows."""


class LongPhase(Settings):
    """The last steps of a run, with longer rows (BERT: 128 tokens, then 512 for the last tenth)."""

    steps: Positive
    """Number of steps; they are part of the run's `steps`."""
    max_length: Annotated[int, Field(ge=8)]
    """Tokens per row, [CLS] and both [SEP] included."""
    global_batch: Positive
    """Rows per step over all processes."""
    micro_batch: Positive
    """Maximum number of rows per forward pass of one process."""


@dataclass(frozen=True)
class Phase:
    """Consecutive steps with rows of the same length and batch size."""

    prefix: str
    """Prefix of its settings' names: empty, or `long_phase.`."""
    first_step: int
    end: int
    """The first step after it."""
    max_length: int
    global_batch: int
    micro_batch: int


class PretrainingSettings(Settings):
    """A run of masked-LM (MLM) pre-training, with next-sentence or sentence-order prediction, or alone."""

    HOW_ONLY = frozenset(
        {
            *("accelerate_config", "heartbeat_timeout_seconds", "time_budget_hours", "checkpoint_every"),
            *("keep_checkpoints", "max_skipped_steps", "log_every", "validate_every", "trackers", "profile_steps"),
        }
    )
    """These may change when a run is continued, since they don't affect its result."""
    LENGTH: ClassVar[frozenset[str]] = frozenset({"steps", "training_hours"})
    """These may change too: a run can be made longer (pretraining/duration.py)."""

    model: Name
    """Entry of `model` to train."""
    shards: Name
    """Entry of `shards` to train on."""
    steps: Positive
    """Optimizer steps; with `training_hours` the maximum. May be raised later to make a run longer
    (docs/pretraining.md)."""
    training_hours: Above0 | None = None
    """Hours of training over all launches: the decay of `wsd` begins so that the run ends in time. Not with long_phase.
    `null`: no limit."""
    global_batch: Positive
    """Rows (sentence pairs) per step over all processes."""
    micro_batch: Positive
    """Maximum number of rows per forward pass of one process."""
    max_length: Annotated[int, Field(ge=8)] = 128
    """Tokens per row, [CLS] and both [SEP] included."""
    long_phase: LongPhase | None = None
    """A second phase with longer rows. `null`: rows of one length."""
    mixture: Mixture | None = None
    """Shares of languages or sources. `null`: as in the corpus."""
    replay: Replay | None = None
    """General text to mix in. `null`: none."""
    pairing: Pairing = "segments"
    """`segments`: fill rows up to max_length (BERT). `sentences`: one sentence and its successor (KM-BERT)."""
    sentence_objective: SentenceObjective = "next_sentence"
    """Objective in addition to MLM: whether B follows A or comes from another document (BERT), whether A and B are in
    the order of the text (ALBERT; Lan et al. 2020), or `none`, with rows of one segment (RoBERTa)."""
    mask_rate: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """Share of tokens (or words) to predict; never special tokens or [UNK]."""
    mask_unit: Literal["token", "word"] = "token"
    """`word` masks all tokens of a word together; a Korean word is an eojeol without its punctuation."""
    mask_token_share: Share = 0.8
    """Share of the predicted tokens that [MASK] replaces."""
    random_token_share: Share = 0.1
    """Share of the predicted tokens that a random token replaces; the remaining ones stay unchanged."""
    optimizer: Literal["adamw", "lamb"] = "adamw"
    """`lamb` is for batches of thousands of rows; not with ZeRO."""
    learning_rate: Above0 = 1e-4
    """Highest learning rate, reached at the end of the warm-up."""
    warmup_steps: NotNegative = 0
    """Steps of linear warm-up."""
    schedule: Literal["linear", "cosine", "constant", "wsd"] = "linear"
    """Course of the learning rate after the warm-up: linear or cosine decay to 0, constant, or constant with linear
    decay over the last `decay_steps` (`wsd`)."""
    decay_steps: Positive | None = None
    """Steps of decay at the end; required by `wsd`, `null` with other schedules."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Decoupled weight decay of matrices; biases and layer norms have none."""
    betas: tuple[Below1, Below1] = (0.9, 0.999)
    """Adam's decay rates of the first and second moment."""
    epsilon: Above0 = 1e-6
    """Adam's epsilon."""
    clip_norm: Above0 = 1.0
    """Maximum norm of the gradient; longer gradients are scaled down."""
    dropout: Below1 | None = None
    """Dropout of hidden states and attention. `null`: as in the model."""
    attention_dropout: Below1 | None = None
    """Dropout of attention alone; 0 lets GPUs use torch's variable-length attention. `null`: as `dropout`."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Precision of matrix products; weights and optimizer state are float32."""
    activation_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, a third slower, the same gradients."""
    compile: Literal["layers"] | None = None
    """`layers`: compile the encoder layers with torch when a launch starts. Meant for GPUs; slower on CPUs."""
    max_skipped_steps: NotNegative = 0
    """Steps that may be skipped because a loss or gradient is not finite; one more ends the run."""
    log_every: Positive = 10
    """Steps between lines of metrics.jsonl."""
    validate_every: Positive = 500
    """Steps between validations on held-out rows."""
    validation_rows: Positive = 512
    """Held-out rows per validation."""
    checkpoint_every: Positive = 500
    """Steps between checkpoints."""
    keep_checkpoints: Positive = 2
    """Number of newest checkpoints to keep; the one with the lowest held-out loss is kept too."""
    time_budget_hours: Above0 | None = None
    """Hours of one launch, after which it saves a checkpoint and ends with exit code 75, as on SIGTERM. `null`: no
    limit."""
    reproducible: Literal["across_world_sizes"] | None = None
    """`across_world_sizes`: weights are equal to the last bit on 1, 2, 4, ... processes with as many threads each, on
    the same kind of device (docs/reliability.md). Not with ZeRO. `null`: sums depend on the number of processes."""
    heartbeat_timeout_seconds: Positive = 120
    """Seconds without a heartbeat from a process after which the whole job ends."""
    trackers: tuple[Tracker, ...] = ("tensorboard",)
    """Where the numbers of metrics.jsonl also go; all but TensorBoard need the extra `trackers`."""
    profile_steps: NotNegative = 0
    """Number of steps at the start of a launch that torch's profiler traces into `profile/`."""
    accelerate_config: str | None = None
    """File of ds_configs/accelerate that `pipeline.py` launches this run with, on this machine; a name that begins with
    `cpu` hides the GPUs. `null`: one process. For several machines: docs/multi_node.md."""

    @model_validator(mode="after")
    def _check_numbers(self) -> "PretrainingSettings":
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
        if self.training_hours is not None and (self.schedule != "wsd" or self.long_phase is not None):
            problems.append("training_hours needs schedule=wsd, whose decay can begin at any time, and no long_phase")
        if self.compile and self.reproducible:
            problems.append(
                f"reproducible={self.reproducible} takes no compile={self.compile}: kernels may differ then"
            )
        for phase in self.phases if self.reproducible else ():
            if phase.global_batch % phase.micro_batch:
                problems.append(
                    f"reproducible={self.reproducible} needs micro-batches of the same size: "
                    f"{phase.prefix}global_batch={phase.global_batch} is not a multiple of "
                    f"{phase.prefix}micro_batch={phase.micro_batch}"
                )
        if self.replay is not None and self.replay.shards == self.shards:
            problems.append(f"replay.shards={self.shards} are the run's own shards")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def phases(self) -> tuple[Phase, ...]:
        """One or two consecutive phases from step 0 to `steps`."""
        long = self.long_phase
        border = self.steps - (long.steps if long else 0)
        phases = (Phase("", 0, border, self.max_length, self.global_batch, self.micro_batch),)
        if long is None:
            return phases
        return (*phases, Phase("long_phase.", border, self.steps, long.max_length, long.global_batch, long.micro_batch))

    @property
    def all_shards(self) -> list[str]:
        """The shards to train on and those to replay."""
        return [self.shards, *([self.replay.shards] if self.replay else [])]

    def phase_at(self, step: int) -> Phase:
        """Return the phase of a step, counted from 0."""
        return next((phase for phase in self.phases if step < phase.end), self.phases[-1])

    def rows_before(self, step: int) -> int:
        """Return the number of rows in all steps before `step`."""
        return sum((min(step, p.end) - p.first_step) * p.global_batch for p in self.phases if step > p.first_step)
