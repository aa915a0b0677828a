"""The saved outputs of a model on a data set: a folder of shards that a broken run goes on with."""
