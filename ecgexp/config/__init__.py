"""The strict configuration layer: compose, validate, build, fingerprint."""
