"""A corpus of damaged and odd image files, and strict decoders that judge them.

Nothing here uses malscan: what is decided is to be held against what malscan decides.
"""
