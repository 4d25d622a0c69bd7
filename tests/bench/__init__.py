"""Benchmarks: ratios and durations measured side by side in one run, `make bench`."""
