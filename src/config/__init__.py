"""The typed configuration: its schema, how a training is described, and which values make sense."""
