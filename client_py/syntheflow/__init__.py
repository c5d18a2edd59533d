"""Client of a syntheflow server: `syntheflow.Client` and the command line."""
