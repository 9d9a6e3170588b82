"""Where code runs: an isolated place whose only way out is the wire."""
