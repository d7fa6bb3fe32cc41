"""What a draft order means for this patient: rules about the orders of a session."""
