"""Running a finished model over a data set, saving what it says, and fitting or diagnosing from the saved outputs."""
