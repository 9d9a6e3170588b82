"""From an outside message to one routed command in the inbox."""
