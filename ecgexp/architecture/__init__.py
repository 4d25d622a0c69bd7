"""Networks: one per file, torch modules from (batch, lead, sample) to (batch, class) logits."""
