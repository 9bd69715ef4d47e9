"""Load encoders for evaluation: with new heads, or with their own MLM or NSP head."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForNextSentencePrediction,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from bimed_dist.errors import DataError
from bimed_dist.evaluation.metrics.definitions import tag_names
from bimed_dist.evaluation.task import Kind
from bimed_dist.hugging_face import load_config, load_model, loading

logger = logging.getLogger(__name__)
_HEADS = {"mlm": AutoModelForMaskedLM, "nsp": AutoModelForNextSentencePrediction}


def parameter_count(config: Any) -> int:
    """Return the parameters of the encoder without heads; no memory is allocated."""
    with loading("encoder", config.name_or_path), torch.device("meta"):
        model = AutoModel.from_config(config)
    return sum(parameter.numel() for parameter in model.parameters())


def check_vocabulary(location: str, config: Any, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raises DataError if the tokenizer has more tokens than the model has embeddings, or the model has none."""
    vocab_size = getattr(config, "vocab_size", None)
    if vocab_size is None:
        raise DataError(f"{location}: config.json has no vocab_size; only text encoders can be evaluated")
    if len(tokenizer) > vocab_size:
        raise DataError(
            f"{location}: the tokenizer has {len(tokenizer)} tokens, but the model has {vocab_size} embeddings; "
            "they do not match"
        )


def drop_unknown_segments(config: Any, tokenizer: PreTrainedTokenizerBase) -> None:
    """Stop the tokenizer from returning segment ids if the model has fewer than two segment embeddings.

    Korean RoBERTa and ModernBERT models often come with a BERT tokenizer.
    """
    if getattr(config, "type_vocab_size", 0) < 2:
        tokenizer.model_input_names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]


def token_limit(config: Any, tokenizer: PreTrainedTokenizerBase, max_length: int) -> int:
    """Return the tokens per row that the model takes, at most `max_length`."""
    positions = getattr(config, "max_position_embeddings", None) or max_length
    if "roberta" in config.model_type or config.model_type in ("camembert", "longformer", "mpnet"):
        # Their positions start at the padding id + 1.
        positions -= (config.pad_token_id or 0) + 1
    return min(max_length, positions, tokenizer.model_max_length)


class MeanPooled(nn.Module):
    """An encoder and a linear head on the mean of its last layer over the tokens of a row."""

    def __init__(self, encoder: PreTrainedModel, outputs: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(getattr(encoder.config, "hidden_dropout_prob", 0.1))
        self.head = nn.Linear(encoder.config.hidden_size, outputs)
        nn.init.normal_(self.head.weight, std=getattr(encoder.config, "initializer_range", 0.02))
        nn.init.zeros_(self.head.bias)

    @property
    def device(self) -> torch.device:
        return self.head.weight.device

    def get_input_embeddings(self) -> nn.Module:
        return self.encoder.get_input_embeddings()

    def forward(self, **inputs: torch.Tensor) -> SequenceClassifierOutput:
        return SequenceClassifierOutput(logits=self.head(self.dropout(mean_pooled(self.encoder, inputs))))


def mean_pooled(encoder: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return (rows, width): the mean of the last layer over all tokens but padding, special tokens included."""
    hidden = encoder(**inputs).last_hidden_state
    mask = inputs["attention_mask"].unsqueeze(-1).to(hidden.dtype)
    return (hidden * mask).sum(dim=1) / mask.sum(dim=1)


def load_classifier(location: str, kind: Kind, labels: Sequence[str], pooling: str = "cls") -> nn.Module:
    """Return the encoder in `location`, its pooler if the task uses one, and a new head, in fp32.

    The head is initialized from torch's generator even if the folder holds a fine-tuned classifier whose head would
    fit: a trained head would be an unfair advantage over the other models.
    """
    outputs = {"sts": 1, "sts_classes": 6, "ner": len(tag_names(labels))}.get(kind, len(labels))
    auto = AutoModelForTokenClassification if kind == "ner" else AutoModelForSequenceClassification
    encoder, info = load_model(location, AutoModel)
    _refuse_new_encoder(location, info, prefix="")
    if pooling == "mean":
        return MeanPooled(encoder, outputs)

    with loading("model", location):
        config = AutoConfig.from_pretrained(location, num_labels=outputs)
        with torch.device("meta"):
            model_class = type(auto.from_config(config))
        weights = {f"{model_class.base_model_prefix}.{name}": tensor for name, tensor in encoder.state_dict().items()}
        return model_class.from_pretrained(None, config=config, state_dict=weights, dtype=torch.float32)


def load_head_model(location: str, kind: Kind) -> PreTrainedModel | None:
    """Return the model with its own MLM or NSP head, for retrieval the encoder without a head.

    None if the checkpoint has no weights for the head.
    """
    if kind == "retrieval":
        encoder, info = load_model(location, AutoModel)
        _refuse_new_encoder(location, info, prefix="")
        return encoder.eval()
    auto = _HEADS[kind]
    if type(load_config(location)) not in auto._model_mapping:
        return None
    model, info = load_model(location, auto)
    _refuse_new_encoder(location, info, prefix=model.base_model_prefix + ".")
    if info["missing_keys"]:
        logger.info("%s has no weights for %s", location, ", ".join(sorted(info["missing_keys"])))
        return None
    return model.eval()


def _refuse_new_encoder(location: str, info: dict[str, Any], prefix: str) -> None:
    """Raises DataError if from_pretrained initialized encoder weights, which would be scored as if they were trained.

    `prefix`: common prefix of the names of the encoder's weights.
    """
    missing = {key for key in info["missing_keys"] if key.startswith(prefix) and "pooler" not in key}
    missing |= {key for key, *_ in info["mismatched_keys"] if key.startswith(prefix)}
    if missing:
        raise DataError(f"{location}: {len(missing)} weights of the encoder are missing, such as {min(missing)}")
