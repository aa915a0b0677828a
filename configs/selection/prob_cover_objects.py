# Shows covering by balls; the radius is found from the pool (delta=None) and stands in the report.
selector = dict(type='imbdense.ProbCover', level='object', delta=None)
