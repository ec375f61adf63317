"""The rooms of `malscan train`: recipe, cells, training loop, checkpoint, what is left behind."""
