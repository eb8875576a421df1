"""What a fleet run found out, as one value, one JSON file and one page.

`model` is the value, `codec` its JSON, `stats` the intervals, `words` the sentences in both languages, `page` the
self-contained HTML. A report holds only what happened in the run; what a run cannot show is listed in it.
"""
