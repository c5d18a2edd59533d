"""From a fitted model to rows: the plan of a request and the making of its units."""
