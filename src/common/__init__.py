"""Ground that every room may share: small, without heavy imports, knowing no room."""
