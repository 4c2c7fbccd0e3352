"""The chaos harness: toy sweeps through the real pipeline, killed again and again, and what is found afterwards.

`make chaos KILLS=100` is the door. The arithmetic of training, detection and measuring is replaced by toys that need
no torch; everything that keeps records (study journal, MLflow, files, workers, report) is the product's own. Moments to
kill at are planted by `driver` from outside: the product knows nothing of them.
"""
