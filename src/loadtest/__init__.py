"""How many requests a second a service takes before it breaks its promise of latency.

Requests leave by a schedule that is fixed beforehand, whether the service keeps up or not. A latency counts from the
moment at which its request was due: a slow service can't slow the clock that it is measured with (no coordinated
omission).
"""
