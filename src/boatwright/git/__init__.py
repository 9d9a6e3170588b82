"""Host-owned git: the mirror of a repository, and nothing that belongs to anybody else."""
