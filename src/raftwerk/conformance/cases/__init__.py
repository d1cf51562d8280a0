"""All cases, by area."""
