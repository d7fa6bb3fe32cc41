"""Pages for people: try a patient, read what the cards rest on, see what the service does."""
