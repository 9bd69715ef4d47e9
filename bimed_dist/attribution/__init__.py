"""Attribution of answers to words: the chosen models of the evaluation -> scores of words -> checks -> heatmaps."""
