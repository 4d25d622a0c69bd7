"""One file per verb; nothing heavy is imported at the top."""
