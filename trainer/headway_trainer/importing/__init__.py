"""A person's own labelled texts, examined and made into the files that a run reads.

`decoding` finds the encoding, `tables` the rows, `columns` which of them hold text and label; `examine` says what is
wrong with the rows and drops what would spoil a measurement, `splitting` deals them out, `writing` leaves the files
and `telling` the words. Nothing here needs torch, and nothing quotes a text.
"""
