"""Small-scope model checking of the core: every behaviour within bounds, shortest counter-examples first."""
