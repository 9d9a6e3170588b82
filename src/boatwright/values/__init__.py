"""The nouns that travel between the rooms: frozen, without I/O, without opinions."""
