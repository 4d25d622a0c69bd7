"""Choose among runs: conditions, Pareto front, comparison, promotion."""
