"""The web console: what a release manager looks at. Pages work without JavaScript, in Chinese and English.

It only reads: every change goes through the API, so there is nothing here to forge.
"""
