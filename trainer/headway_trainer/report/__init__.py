"""What a run found out, for people: one `facts.json`, curves as SVG, and one self-contained page of one or more runs.

`facts` reads a run folder, `summary` writes its `facts.json` and curves, the modules named after drawings make one
SVG each, `page` the HTML. Nothing here needs torch; what a run has not done yet is left out, never made up.
"""
