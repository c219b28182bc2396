"""Local heads: decoder, auxiliary head, and what they read, at the cut or in blocks after it."""
