"""Tools of your own: a start and its test, and a check of what would break."""
