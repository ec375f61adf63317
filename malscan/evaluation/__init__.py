"""The rooms of `malscan evaluate`: what counts, figures, gates, files, pictures."""
