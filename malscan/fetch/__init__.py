"""Fetch: the data set, downloaded, verified, unpacked and checked.

`malscan.fetch.settings` says what can be asked for, `malscan.fetch.fetch` does it and
`malscan.fetch.check` looks at what is there. Nothing here loads TensorFlow, but for decoding on
request.
"""
