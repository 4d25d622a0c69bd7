"""Accuracy and weighted F1 of the surest recordings: `python thresholds.py PREDICTIONS...`."""

from __future__ import annotations

import sys
from pathlib import Path

from sklearn.metrics import f1_score

from ecgexp.pipeline.predictions import Predictions, read_predictions
from ecgexp.training.metrics import softmax

pooled = Predictions.joined([read_predictions(Path(path)) for path in sys.argv[1:]])
probability = softmax(pooled.logits)
for threshold in (0.0, 0.5, 0.75, 0.9):
    kept = probability.max(axis=1) > threshold
    y, answer = pooled.y[kept], probability[kept].argmax(axis=1)
    sys.stdout.write(
        f"softmax > {threshold:g}: {kept.mean():.1%} kept, accuracy {(answer == y).mean():.4f}, "
        f"weighted F1 {f1_score(y, answer, average='weighted'):.4f}\n"
    )
