"""HTTP doors. Private: health, readiness, figures, the API and live events. Public: health, and what forges send."""
