"""What the container backend is made of: the engine's command line, the root a container gets, its filter, its run."""
