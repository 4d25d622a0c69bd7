"""Recordings, labels, splits and windows, cached on disk and served in batches."""
