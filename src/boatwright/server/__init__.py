"""HTTP doors. Today: health; webhooks and the API come with the forges."""
