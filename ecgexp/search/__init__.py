"""Search over configurations with Optuna: ask, run, tell."""
