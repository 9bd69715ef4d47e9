"""Loading Hugging Face folders for evaluation: encoders with new heads, or with the heads they come with."""

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
    """Parameters of the encoder without task heads; nothing is allocated."""
    with loading("encoder", config.name_or_path), torch.device("meta"):
        model = AutoModel.from_config(config)
    return sum(parameter.numel() for parameter in model.parameters())


def check_vocabulary(location: str, config: Any, tokenizer: PreTrainedTokenizerBase) -> None:
    """DataError where the tokenizer gives ids that the model has no row for, or the model has no rows at all."""
    rows = getattr(config, "vocab_size", None)
    if rows is None:
        raise DataError(f"{location}: config.json has no vocab_size; only text encoders can be evaluated")
    if len(tokenizer) > rows:
        raise DataError(
            f"{location}: the tokenizer has {len(tokenizer)} pieces but the model {rows} rows; they are not a pair"
        )


def without_unknown_segments(config: Any, tokenizer: PreTrainedTokenizerBase) -> None:
    """Keep the tokenizer from numbering segments that the model does not tell apart.

    A RoBERTa or ModernBERT with a BERT tokenizer, as Korean ones have it, has no row for the second segment.
    """
    if getattr(config, "type_vocab_size", 0) < 2:
        tokenizer.model_input_names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]


def piece_limit(config: Any, tokenizer: PreTrainedTokenizerBase, wanted: int) -> int:
    """Pieces per row that the model takes, `wanted` at most."""
    positions = getattr(config, "max_position_embeddings", None) or wanted
    if "roberta" in config.model_type or config.model_type in ("camembert", "longformer", "mpnet"):
        # These count positions from the padding id + 1.
        positions -= (config.pad_token_id or 0) + 1
    return min(wanted, positions, tokenizer.model_max_length)


class MeanPooled(nn.Module):
    """The encoder's last layer as a mean over the pieces of a row, and a linear head on it."""

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
        return SequenceClassifierOutput(logits=self.head(self.dropout(mean_of_pieces(self.encoder, inputs))))


def mean_of_pieces(encoder: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """(rows, width) mean of the last layer over the pieces that are not padding, special ones included."""
    hidden = encoder(**inputs).last_hidden_state
    mask = inputs["attention_mask"].unsqueeze(-1).to(hidden.dtype)
    return (hidden * mask).sum(dim=1) / mask.sum(dim=1)


def load_classifier(location: str, kind: Kind, labels: Sequence[str], pooling: str = "cls") -> nn.Module:
    """The encoder in `location`, its pooler where the task uses one, and a new head for a fine-tuned kind, in fp32.

    Everything outside the encoder is drawn from torch's generator, even where the folder is of a fine-tuned classifier
    whose head would fit: a head trained before is a head start that the other models don't get.
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
            whole = type(auto.from_config(config))
        weights = {f"{whole.base_model_prefix}.{name}": tensor for name, tensor in encoder.state_dict().items()}
        return whole.from_pretrained(None, config=config, state_dict=weights, dtype=torch.float32)


def load_head_model(location: str, kind: Kind) -> PreTrainedModel | None:
    """The model with its own MLM or NSP head, or none where the checkpoint lacks the head's weights.

    For retrieval the encoder without a head.
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
    """from_pretrained draws what it does not find; a drawn encoder would be scored as if it had been trained.

    prefix: how the names of the encoder's weights begin.
    """
    lost = {key for key in info["missing_keys"] if key.startswith(prefix) and "pooler" not in key}
    lost |= {key for key, *_ in info["mismatched_keys"] if key.startswith(prefix)}
    if lost:
        raise DataError(f"{location}: {len(lost)} weights of the encoder are missing, such as {min(lost)}")
