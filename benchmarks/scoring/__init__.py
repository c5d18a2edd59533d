"""One judge for the rows of every system, blind to which system made them."""
