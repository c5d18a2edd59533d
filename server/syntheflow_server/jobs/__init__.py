"""All work of the server: the facade that rpc calls, job processes, the sampling pool."""
