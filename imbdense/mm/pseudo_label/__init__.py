"""One round of pseudo-labelling off-line: predict an unlabelled set with a finished model, select, write."""
