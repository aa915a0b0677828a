"""Metrics as pure functions on int64 tables: confusion, ranking, calibration, frequency groups, detection summaries."""
