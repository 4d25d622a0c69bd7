"""The rules by which imported operators become kernel calls.

`value` says what is known about a tensor before it is computed, `materialise` computes it,
`deferred` and its operators wait for bias, activation and quantization, `rules` has one rule per
Relax operator, and `walk` the state they share.
"""
