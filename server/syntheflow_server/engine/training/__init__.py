"""From real tables to a fitted model: what is learned, from which rows, in what order."""
