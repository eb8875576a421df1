"""The web console: what a release manager looks at. Pages work without JavaScript, in Chinese and English.

It reads; the one thing it can set off is to run a proof again, which changes nothing that devices see. Every other
change goes through the API.
"""
