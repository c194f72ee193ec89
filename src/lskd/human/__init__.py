"""What people say of triples and of systems: kept, measured, and handed on (sections 2.3, 3.4)."""
