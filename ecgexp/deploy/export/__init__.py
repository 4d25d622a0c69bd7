"""Write a compiled network as a library for somebody else's firmware project."""
