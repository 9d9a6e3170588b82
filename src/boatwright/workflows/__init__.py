"""The stories. A workflow only orders stages; ``engine`` is the one room that knows what makes them durable."""
