"""Watching a model after its promotion: drift without labels, and champion against challenger with them.

Nothing is imported here: what a service observes with must not need what a page is drawn with.
"""
