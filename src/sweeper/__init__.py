"""The study loop behind `-m`: what to try next, in which order, and what was learned."""
