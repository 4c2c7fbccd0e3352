"""The service: a champion, or any model file, over HTTP.

One process serves with one model in one thread of its own (`engine`); pictures are read and fitted in others
(`pictures`), so that the network never waits. `app` joins them, `v2` speaks the Open Inference Protocol, `guard` holds
the limits.
"""
