"""Named scenarios: short plays in the words of the paper. Each runs under all checkers; catalogue.py lists them."""
