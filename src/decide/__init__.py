"""Records to decision: which model ships, how sure that is, and what is left open. Pure; nothing is rendered here."""
