"""Population runs: the same rules over many patients."""
