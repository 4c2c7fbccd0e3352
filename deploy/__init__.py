"""What runs beside the program: the stack on this machine without Docker, and the files for containers."""
