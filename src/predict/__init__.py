"""Prediction: any checkpoint or exported file on images, folders, videos and streams.

`model` opens a file, `sources` gives frames, `engine` finds boxes, `writers` keeps them; `run` joins them.
"""
