# Shows a budget of minutes (img_cost of the pool): objects that stand for many others, by gain per minute.
selector = dict(type='imbdense.CostAware', selector=dict(type='imbdense.FacilityLocation', level='object', k=50))
