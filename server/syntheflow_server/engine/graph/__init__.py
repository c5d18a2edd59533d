"""How tables hang together: who owns whom, how references resolve, what relatives tell a row."""
