"""MLflow: the only package that knows where runs are kept."""
