"""Who writes the code: one small file per provider, plus the built-in loop."""
