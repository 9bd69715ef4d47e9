"""Settings of a pre-training run: rows, objectives, optimizer and schedule, and when to look, save and stop."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from bimed_dist.settings import Above0, Below1, Name, NotNegative, Positive, Settings, Share

Pairing = Literal["segments", "sentences"]
SentenceObjective = Literal["next_sentence", "sentence_order", "none"]


class PretrainingSettings(Settings):
    model: Name
    shards: Name
    steps: Positive
    """Optimizer updates in all."""
    global_batch: Positive
    """Rows (sentence pairs) per update over all ranks."""
    micro_batch: Positive
    """Rows that one rank feeds forward at once, at most."""
    max_length: Annotated[int, Field(ge=8)] = 128
    """Tokens per row, [CLS] and both [SEP] included."""
    pairing: Pairing = "segments"
    """`segments`: fill up to max_length (BERT). `sentences`: one sentence and its successor (KM-BERT)."""
    sentence_objective: SentenceObjective = "next_sentence"
    """What is learned of pairs beside masked words: whether B follows A or is of another document (BERT), whether A and
    B stand in the order of the text (ALBERT; Lan et al. 2020), or nothing: rows are then one segment (RoBERTa)."""
    mask_rate: Annotated[float, Field(gt=0, lt=1)] = 0.15
    mask_unit: Literal["token", "word"] = "token"
    mask_token_share: Share = 0.8
    random_token_share: Share = 0.1
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
    precision: Literal["fp32", "bf16"] = "fp32"
    activation_checkpointing: bool = False
    """Compute activations again in the backward pass: less memory, a third slower, the same gradients."""
    skipped_steps: NotNegative = 0
    """Updates at most that may be left out because a loss or gradient is not finite; one more stops the run."""
    log_every: Positive = 10
    validate_every: Positive = 500
    validation_rows: Positive = 512
    checkpoint_every: Positive = 500
    keep_checkpoints: Positive = 2
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
        if problems:
            raise ValueError("; ".join(problems))
        return self
