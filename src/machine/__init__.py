"""The machine that a program runs on: what it is, what its work costs, and processes of their own."""
