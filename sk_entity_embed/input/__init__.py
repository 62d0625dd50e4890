"""X and y to arrays: containers, vocabularies, targets, folds. No torch here."""
