"""What the rooms hand to each other, and its way to and from JSON. Only the standard library is imported here."""
