"""The same work on many machines, by Dask; needs `malscan[cluster]`."""
