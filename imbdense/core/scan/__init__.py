"""Recurrences over long sequences, exact and in linear memory."""
