"""What every command shares: composing its configuration, errors and exit codes, and what is shown while it works."""
