"""Known defects of consensus systems, each put into the production code for a moment, to see that the checks catch it."""
