"""ecgexp: from ECG recordings to a measured firmware image."""

__version__ = "0.1.0"
