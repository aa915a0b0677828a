"""Small helpers without host libraries: files, paths, versions, distributed sums."""
