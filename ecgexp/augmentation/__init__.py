"""What may happen to a training window: pure seeded functions, one per effect."""
