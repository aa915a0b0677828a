"""Pure algorithms on torch, numpy and scipy: no host library, no file access."""
