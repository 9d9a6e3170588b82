"""The chapters of the story, one file each, named as in the story. A stage does the I/O around the rules."""
