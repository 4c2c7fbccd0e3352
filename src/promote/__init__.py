"""From a decision to the Model Registry: gates on what was recorded, aliases, and the model as it is served.

Nothing is imported here: what runs in production must not need what a promotion needs.
"""
