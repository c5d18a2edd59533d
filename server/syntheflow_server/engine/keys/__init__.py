"""Keys as pure functions of the row number: unique by construction, without any look-up."""
