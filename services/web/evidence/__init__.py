"""What the cards rest on, as pages to read and as JSON: every limit, word, code and choice."""
