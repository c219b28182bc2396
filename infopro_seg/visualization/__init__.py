"""Pictures for people: panels, overlays."""
