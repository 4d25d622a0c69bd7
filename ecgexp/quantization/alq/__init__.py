"""Adaptive loss-aware multi-bit quantization: a group of weights is a sum of signed bit planes."""
