"""What each part of a recipe brings: variants of a run, the steps they share with it, paired differences, a table.

`variants` says what a variant changes, `sharing` what it need not do again, `answering` which rows its exported files
get right, `paired` what a difference is worth, `table` holds and tells the result, `study` goes through all of it.
"""
