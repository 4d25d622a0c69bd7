"""Pure functions on sampled signals and the ordered chain that applies them."""
