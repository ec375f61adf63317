"""Reports of a scan: one module a format, behind the interface of `interface.py`."""
