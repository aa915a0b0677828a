"""Plain network modules on torch."""
