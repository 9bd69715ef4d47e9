"""What a fine-tuned model looked at: chosen cells of the evaluation -> attributions of words -> checks -> heatmaps."""
