"""The page on which somebody makes up a patient and sees what the rules say, and why."""
