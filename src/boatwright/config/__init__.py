"""What this host allows (settings) and what a repository asks for (policy)."""
